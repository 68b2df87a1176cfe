"""What the engine says about its lag, as rows."""

from sinks.audit.freshness import lag_rows


def test_a_place_is_a_topic_and_a_partition() -> None:
    assert lag_rows({"payments.events[11]": 7, "a[b][0]": 0}, 5) == [
        ("payments.events", 11, 7, 5),
        ("a[b]", 0, 0, 5),
    ]
    assert lag_rows({}, 5) == []
