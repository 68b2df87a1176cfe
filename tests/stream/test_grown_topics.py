"""Topics that change under a running worker: more partitions, and a transaction left open."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions
from polling import eventually
from sink_worker import start_worker

from paystream.operations.topics import create_all
from runtime.kafka_connection import KafkaConnection
from schemas.topics import MERCHANTS_COMMANDS, PAYMENTS_COMMANDS, PAYMENTS_EVENTS

pytestmark = pytest.mark.services


def test_a_worker_refuses_a_topic_that_was_given_more_partitions(
    own_broker: str, tmp_path: Path
) -> None:
    create_all(KafkaConnection(own_broker))
    log = tmp_path / "merchants.log"
    running = start_worker("merchants", own_broker, tmp_path, {})
    try:
        admin = AdminClient({"bootstrap.servers": own_broker})
        wanted = NewPartitions(MERCHANTS_COMMANDS, 24)
        admin.create_partitions([wanted])[MERCHANTS_COMMANDS].result(20)
        sentence = "merchants.commands has 24 partitions, 12 are wanted: somebody added some"
        eventually(lambda: sentence in log.read_text(), "the sentence", seconds=20)
        eventually(lambda: running.exit_code() is not None, "the end of the worker", seconds=30)
    finally:
        running.kill_group()


def test_a_transaction_that_is_left_open_shows_as_lag(
    own_broker: str, tmp_path: Path, unique_name: Callable[[str], str]
) -> None:
    create_all(KafkaConnection(own_broker))
    env = {"REDIS_URL": "redis://127.0.0.1:9"}
    stray = Producer({"bootstrap.servers": own_broker, "transactional.id": unique_name("stray")})
    stray.init_transactions(20)
    running = start_worker("status", own_broker, tmp_path, env)
    port = running.launch.environment["HEALTH_PORT"]

    def blocked() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return any(
            line.startswith("paystream_consumer_blocked_records{")
            and f'partition="3",topic="{PAYMENTS_EVENTS}"' in line
            and float(line.rpartition(" ")[2]) > 0
            for line in lines
        )

    try:
        stray.begin_transaction()
        stray.produce(PAYMENTS_EVENTS, b"x", partition=3)
        stray.flush(20)
        eventually(blocked, "blocked records", seconds=30)
        stray.abort_transaction(20)
        eventually(lambda: not blocked(), "the end of it", seconds=30)
    finally:
        running.kill_group()


def test_topics_of_clients_get_the_brokers_time(own_broker: str) -> None:
    create_all(KafkaConnection(own_broker))
    admin = AdminClient({"bootstrap.servers": own_broker})

    def kind_of_time(topic: str) -> str:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        [found] = admin.describe_configs([resource]).values()
        return str(found.result(20)["message.timestamp.type"].value)

    assert kind_of_time(PAYMENTS_COMMANDS) == "LogAppendTime"
    assert kind_of_time(PAYMENTS_EVENTS) == "CreateTime"
