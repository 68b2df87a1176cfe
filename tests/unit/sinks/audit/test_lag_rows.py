"""What the engine says about its lag, as rows."""

from engine import TopicPartition
from sinks.audit.freshness import lag_rows


def test_a_place_is_a_topic_and_a_partition() -> None:
    assert lag_rows(
        {TopicPartition("payments.events", 11): 7, TopicPartition("a[b]", 0): 0}, 5
    ) == [
        ("payments.events", 11, 7, 5),
        ("a[b]", 0, 0, 5),
    ]
    assert lag_rows({}, 5) == []
