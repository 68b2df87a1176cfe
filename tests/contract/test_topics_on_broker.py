"""Topics are created on a real broker as their files say, once."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from devstack.services.ports import free_port
from paystream.operations import topics as on_broker
from paystream.operations import topics_check
from paystream.operations.topics_check import Difference
from runtime.kafka_connection import KafkaConnection
from schemas.topics import TOPICS, Topic

pytestmark = pytest.mark.services


@pytest.fixture
def catalogue(
    monkeypatch: pytest.MonkeyPatch, unique_name: Callable[[str], str]
) -> dict[str, Topic]:
    """The catalogue under names that no other test has."""
    renamed = [msgspec.structs.replace(t, name=unique_name(t.name)) for t in TOPICS.values()]
    found = {topic.name: topic for topic in renamed}
    monkeypatch.setattr(on_broker, "TOPICS", found)
    return found


def partitions(admin: AdminClient, topic: str) -> int:
    """How many the topic has, once the broker that is asked knows it."""
    end = time.monotonic() + 20
    while not (found := admin.list_topics(timeout=20).topics.get(topic)) or found.error:
        assert time.monotonic() < end, topic
        time.sleep(0.1)
    return len(found.partitions)


CHANGELOG = "streams-payments-copies-changelog"


def settings(admin: AdminClient, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    described = admin.describe_configs([resource])[resource].result(20)
    return {name: entry.value for name, entry in described.items()}


def test_topics_have_the_partitions_and_settings_of_their_files(
    kafka_broker: str, catalogue: dict[str, Topic]
) -> None:
    assert sorted(on_broker.create_all(KafkaConnection(kafka_broker))) == sorted(catalogue)
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    for name, topic in catalogue.items():
        assert partitions(admin, name) == topic.partitions
        found = settings(admin, name)
        wanted = topic.broker_settings() | {"min.insync.replicas": "1"}
        assert {key: found[key] for key in wanted} == wanted


def test_what_is_there_is_left_as_it_is(kafka_broker: str, catalogue: dict[str, Topic]) -> None:
    first = next(iter(catalogue))
    assert len(on_broker.create_all(KafkaConnection(kafka_broker), partitions=1)) == len(catalogue)
    assert on_broker.create_all(KafkaConnection(kafka_broker)) == []
    admin = AdminClient({"bootstrap.servers": kafka_broker})
    assert partitions(admin, first) == 1


@pytest.mark.usefixtures("catalogue")
def test_a_broker_that_cannot_is_named_with_its_reason(kafka_broker: str) -> None:
    with pytest.raises(on_broker.TopicsNotCreated, match=r"_\w+: .*[Rr]eplication"):
        on_broker.create_all(KafkaConnection(kafka_broker), replication=3)


def test_a_broker_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_broker, "_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(on_broker.TopicsNotCreated, match="does not answer"):
        on_broker.create_all(KafkaConnection(f"127.0.0.1:{free_port()}"))


def test_what_differs_from_the_files_is_named(
    kafka_broker: str, catalogue: dict[str, Topic], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_check, "TOPICS", catalogue)
    where = KafkaConnection(kafka_broker)
    first, second, *others = catalogue.values()
    missing = [Difference(topic.name, "topic", "exists", "is missing") for topic in [*others]]
    client = AdminClient({"bootstrap.servers": kafka_broker})
    made = [
        NewTopic(first.name, first.partitions, 1, config=first.broker_settings()),
        NewTopic(second.name, 1, 1, config=second.broker_settings() | {"retention.ms": "5000"}),
    ]
    for answer in client.create_topics(made).values():
        answer.result(20)
    assert topics_check.differences(where) == [
        Difference(second.name, "partitions", str(second.partitions), "1"),
        Difference(second.name, "retention.ms", str(second.retention_ms), "5000"),
        *missing,
    ]
    client.create_topics([NewTopic(CHANGELOG, 1, 1)])[CHANGELOG].result(20)
    too_few = topics_check.differences(where, replication=3)
    assert Difference(CHANGELOG, "replicas", "3", "1") in too_few
    assert Difference(first.name, "replicas", "3", "1") in too_few
    assert Difference(first.name, "min.insync.replicas", "2", "1") in too_few
