"""Ending a transaction without markers touches nothing of anybody else.

A broker that forgets markers cannot be had on request: what is tested here is that the end is
harmless wherever it is not needed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from engine.broker.clients import ClientConfig
from engine.settings import EngineSettings
from engine.transactions.hanging_transactions import abort_hanging_transaction
from runtime import consumer_lag
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection

pytestmark = pytest.mark.services
SECONDS = 30.0


def transactions(broker: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    return producer


def test_others_open_transactions_and_the_groups_offsets_stay(
    kafka_broker: str, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("unmarked")
    config = ClientConfig(topic, "0", kafka_broker, EngineSettings())
    mine = transactions(kafka_broker, config.transactional_id)
    mine.produce(topic, b"mine", partition=0)
    member = Consumer(config.unstable_consumer())
    offsets = [TopicPartition(topic, 0, 7)]
    mine.send_offsets_to_transaction(offsets, member.consumer_group_metadata(), SECONDS)
    mine.commit_transaction(SECONDS)
    other = transactions(kafka_broker, f"{topic}-other")
    other.produce(topic, b"theirs", partition=0)
    assert other.flush(SECONDS) == 0

    assert abort_hanging_transaction(config, config.transactional_id, [(topic, 0)])

    other.commit_transaction(SECONDS)
    assert [record.value for record in read_topic(KafkaConnection(kafka_broker), topic)] == [
        b"mine",
        b"theirs",
    ]
    (found,) = [
        p
        for p in consumer_lag.positions(KafkaConnection(kafka_broker), [topic])
        if p.topic == topic
    ]
    assert found.committed == 7
    assert found.stable_end == found.end
    member.close()


def test_a_broker_that_does_not_respond_is_logged_not_raised() -> None:
    config = ClientConfig("nowhere", "0", "127.0.0.1:9", EngineSettings())
    assert not abort_hanging_transaction(config, config.transactional_id, [("nowhere", 0)])
