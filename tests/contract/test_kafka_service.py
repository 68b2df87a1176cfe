"""The embedded Kafka: real, small, and it remembers."""

from __future__ import annotations

import socket
from pathlib import Path
from time import monotonic, sleep

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, PartitionMetadata

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child
from devstack.services.ports import LOOPBACK, PortBook

pytestmark = pytest.mark.services


def stop_all(children: list[Child]) -> None:
    for child in children:
        child.signal(15)
    for child in children:
        child.stop(5)


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"g-{topic}"})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    records = consumer.consume(count, timeout=20)
    consumer.close()
    return [record.value() or b"" for record in records]


def test_the_shared_broker_does_not_create_topics_by_itself(kafka_broker: str) -> None:
    metadata = AdminClient({"bootstrap.servers": kafka_broker}).list_topics("no_such_topic", 5)
    assert metadata.topics["no_such_topic"].error is not None


def test_data_survive_a_restart_and_a_taken_port(tmp_path: Path) -> None:
    kafka_jars.fetch()
    cluster, children = kafka.start_in(tmp_path)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
    produce(cluster.bootstrap_servers, "kept", [b"1", b"2"])
    stop_all(children)

    same, children = kafka.start_in(tmp_path)
    assert same.bootstrap_servers == cluster.bootstrap_servers
    assert consume(same.bootstrap_servers, "kept", 2) == [b"1", b"2"]
    children[0].kill_group()

    with socket.create_server((LOOPBACK, same.nodes[0].controller_port), reuse_port=False):
        moved, children = kafka.start_in(tmp_path)
        try:
            assert moved.nodes[0].controller_port != same.nodes[0].controller_port
            produce(moved.bootstrap_servers, "kept", [b"3"])
            assert consume(moved.bootstrap_servers, "kept", 3) == [b"1", b"2", b"3"]
        finally:
            stop_all(children)


def partition_once_led(admin: AdminClient, topic: str) -> PartitionMetadata:
    """Partition 0: a broker asked right after the creation may not have heard of it yet."""
    ends = monotonic() + 20
    while monotonic() < ends:
        found = admin.list_topics(topic, 10).topics[topic].partitions.get(0)
        if found is not None and found.leader >= 0:
            return found
        sleep(0.1)
    raise AssertionError(f"{topic}: no leader after 20 s")


def test_three_brokers_replicate_and_lose_one(tmp_path: Path) -> None:
    kafka_jars.fetch()
    cluster, children = kafka.start_in(tmp_path, brokers=3)
    try:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
        admin.create_topics([NewTopic("thrice", 1, 3)])["thrice"].result(20)
        partition = partition_once_led(admin, "thrice")
        assert sorted(partition.replicas) == [1, 2, 3]
        children[partition.leader - 1].kill_group()
        produce(cluster.bootstrap_servers, "thrice", [b"after the loss"])
        assert consume(cluster.bootstrap_servers, "thrice", 1) == [b"after the loss"]
    finally:
        stop_all(children)


def test_the_number_of_brokers_of_a_directory_is_fixed(tmp_path: Path) -> None:
    (tmp_path / "broker-1/data").mkdir(parents=True)
    (tmp_path / "broker-1/data/meta.properties").touch()
    with pytest.raises(ValueError, match="made with 1 broker"):
        kafka.prepare(tmp_path, PortBook(tmp_path / "p"), tmp_path, brokers=3)
