"""Which numbers of partitions are wrong."""

from runtime.kafka_connection import KafkaConnection
from runtime.partition_watch import PartitionWatch


def watch() -> PartitionWatch:
    return PartitionWatch(KafkaConnection("127.0.0.1:9"), ["a", "b"])


def test_more_partitions_than_before_are_noticed() -> None:
    made = watch()
    assert made.compare({"a": 12, "b": 12, "other": 3}) is None
    assert made.compare({}) is None, "no answer says nothing"
    assert made.compare({"a": 12, "b": 12}) is None
    problem = made.compare({"a": 24, "b": 12})
    assert problem is not None
    assert problem.startswith("Topic a has 24 partitions, 12 are wanted.")
    grown_together = made.compare({"a": 24, "b": 24})
    assert grown_together is not None


def test_a_process_that_was_started_again_compares_the_topics() -> None:
    problem = watch().compare({"a": 24, "b": 12})
    assert problem is not None
    assert "Topic a has 24 partitions" in problem
