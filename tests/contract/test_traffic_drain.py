"""What a group has not read is counted in records, not in offsets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from devstack.traffic.drain import NotSettledError, unread_records, wait_until_drained
from runtime.kafka import consumer_settings
from runtime.kafka_connection import KafkaConnection

pytestmark = pytest.mark.services
Name = Callable[[str], str]


def send(bootstrap: str, topic: str, records: int, transactional_id: str) -> None:
    """Committed records, then an aborted one: markers and what nobody reads."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(20)
    producer.begin_transaction()
    for number in range(records):
        producer.produce(topic, str(number))
    producer.commit_transaction(20)
    producer.begin_transaction()
    producer.produce(topic, "aborted")
    producer.flush(20)
    producer.abort_transaction(20)


def commit(bootstrap: str, group: str, topic: str, offset: int) -> None:
    consumer = Consumer(consumer_settings(KafkaConnection(bootstrap), group))
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


@pytest.mark.parametrize(("committed", "unread"), [(0, 5), (3, 2), (5, 0), (6, 0), (8, 0)])
def test_markers_and_aborted_records_do_not_count(
    kafka_broker: str,
    new_topic: Callable[..., str],
    unique_name: Name,
    committed: int,
    unread: int,
) -> None:
    topic, group = new_topic("settling"), unique_name("group")
    send(kafka_broker, topic, 5, unique_name("transactional"))
    commit(kafka_broker, group, topic, committed)
    expected = {group: unread} if unread else {}
    assert unread_records(KafkaConnection(kafka_broker), [group]) == expected


def test_a_stack_that_does_not_settle_is_an_error_that_says_why(own_broker: str) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": own_broker, "CLICKHOUSE_URL": "http://127.0.0.1:9"}
    checks: list[str] = []
    with pytest.raises(NotSettledError, match=r"After 0 s ClickHouse: .*paystream topics"):
        wait_until_drained(
            env, timeout_seconds=0.1, on_check=lambda found: checks.append(found.sentence())
        )
    assert checks
