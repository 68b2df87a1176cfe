"""Compares the topics of a cluster with `schemas/topics/`: what is there is never changed.

Of changelogs, which the workers make, the copies are compared.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource

from paystream.operations.topics import wanted_settings
from runtime.consumer_lag import admin
from runtime.kafka import TopicUnreadable
from runtime.kafka_connection import KafkaConnection
from schemas.topics import TOPICS, Topic
from workers.catalogue import WORKERS

_TIMEOUT_SECONDS = 30.0
_CHANGELOG = "-changelog"
_OWNERS = tuple(f"{worker.group}-" for worker in WORKERS.values())
"""Who made a changelog, with as many copies as PAYSTREAM_WORKER_REPLICATION said then."""


class Difference(NamedTuple):
    """A topic has something else than its file says."""

    topic: str
    setting: str
    wanted: str
    found: str


def differences(
    kafka: KafkaConnection, replication: int = 1, partitions: int | None = None
) -> list[Difference]:
    """What differs, by topic. Raises TopicUnreadable.

    `replication`: fewest copies; `partitions`: instead of each topic's own number.
    """
    client = admin(kafka)
    try:
        known = client.list_topics(timeout=_TIMEOUT_SECONDS).topics
        resources = [
            ConfigResource(ConfigResource.Type.TOPIC, name) for name in TOPICS if name in known
        ]
        asked = client.describe_configs(resources, request_timeout=_TIMEOUT_SECONDS)
        settings = {each.name: answer.result(_TIMEOUT_SECONDS) for each, answer in asked.items()}
    except KafkaException as error:
        raise TopicUnreadable(
            f"The broker does not answer: {error.args[0].str()}. Check that it is up, and the"
            " rights of this user."
        ) from error
    found: list[Difference] = []
    for topic in TOPICS.values():
        if topic.name not in known:
            found.append(Difference(topic.name, "topic", "exists", "is missing"))
            continue
        found += _shape(topic, known[topic.name], replication, partitions)
        found += _settings(topic, settings[topic.name], replication)
    for name in sorted(known):
        if name.endswith(_CHANGELOG) and name.startswith(_OWNERS):
            found += _copies(name, known[name], replication)
    return found


def _shape(
    topic: Topic, metadata: Any, replication: int, partitions: int | None
) -> Iterator[Difference]:
    wanted, found = partitions or topic.partitions, len(metadata.partitions)
    if found != wanted:
        yield Difference(topic.name, "partitions", str(wanted), str(found))
    yield from _copies(topic.name, metadata, replication)


def _copies(name: str, metadata: Any, replication: int) -> Iterator[Difference]:
    copies = min(len(partition.replicas) for partition in metadata.partitions.values())
    if copies < replication:
        yield Difference(name, "replicas", str(replication), str(copies))


def _settings(topic: Topic, entries: Any, replication: int) -> Iterator[Difference]:
    for name, wanted in wanted_settings(topic, replication).items():
        found = entries[name].value
        if found != wanted:
            yield Difference(topic.name, name, wanted, found)
