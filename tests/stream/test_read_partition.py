"""A stretch of a partition from a real broker: committed records, or a word that they are gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.kafka import RecordsGone, read_partition
from runtime.kafka_connection import KafkaConnection

pytestmark = pytest.mark.services

WAIT_SECONDS = 30.0


@pytest.fixture
def topic(kafka_broker: str, new_topic: Callable[..., str]) -> str:
    """Offsets 0 and 1, a marker, 3 and 4 of an aborted transaction, its marker, 6 and a marker."""
    topic = new_topic("stretch")
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": topic})
    producer.init_transactions(WAIT_SECONDS)
    for count, end in ((2, True), (2, False), (1, True)):
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(topic, b"x")
        assert producer.flush(WAIT_SECONDS) == 0
        (producer.commit_transaction if end else producer.abort_transaction)(WAIT_SECONDS)
    return topic


@pytest.mark.parametrize(
    ("first", "end", "offsets"),
    [(0, 8, [0, 1, 6]), (0, 1, [0]), (1, 6, [1]), (2, 7, [6]), (7, 8, [])],
)
def test_the_stretch_is_read(
    kafka_broker: str, topic: str, first: int, end: int, offsets: list[int]
) -> None:
    found = [
        record.offset
        for record in read_partition(KafkaConnection(kafka_broker), topic, 0, first, end)
    ]
    assert found == offsets


def test_what_retention_took_is_gone(kafka_broker: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    [deleted] = admin.delete_records([TopicPartition(topic, 0, 2)]).values()
    deleted.result(WAIT_SECONDS)
    with pytest.raises(RecordsGone, match=f"{topic}/0 from 0"):
        list(read_partition(KafkaConnection(kafka_broker), topic, 0, 0, 8))
    assert [r.offset for r in read_partition(KafkaConnection(kafka_broker), topic, 0, 2, 8)] == [6]
