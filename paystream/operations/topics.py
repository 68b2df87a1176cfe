"""Create on a broker what `schemas/topics/` describes."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from runtime import log
from runtime.kafka import client_settings
from runtime.kafka_connection import KafkaConnection
from schemas.topics import TOPICS, Topic

_TIMEOUT_SECONDS = 30.0
_REPLICATION_SAFE = 3
_LOG = log.get(__name__)


class TopicsNotCreated(Exception):
    """The broker refused a topic; the message names it and gives the broker's reason."""


def create_all(
    kafka: KafkaConnection, replication: int = 1, partitions: int | None = None
) -> list[str]:
    """Create the topics that are missing and return their names.

    partitions: instead of each topic's own number. Raises TopicsNotCreated.
    """
    admin = AdminClient(client_settings(kafka))
    try:
        existing = set(admin.list_topics(timeout=_TIMEOUT_SECONDS).topics)
    except KafkaException as error:
        raise TopicsNotCreated(
            f"{kafka.bootstrap_servers} does not answer ({error.args[0].str()}). Check the brokers."
        ) from error
    _stamp_on_append(admin, [t.name for t in TOPICS.values() if t.name in existing])
    missing = [t for t in TOPICS.values() if t.name not in existing]
    if not missing:
        return []
    wanted = [_new_topic(topic, replication, partitions) for topic in missing]
    pending = admin.create_topics(wanted, operation_timeout=_TIMEOUT_SECONDS)
    return [name for name, future in pending.items() if _created(name, future)]


def _stamp_on_append(admin: AdminClient, existing: list[str]) -> None:
    """Topics of before get the broker's time too. A missing right is logged, and no failure."""
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(
                    "message.timestamp.type",
                    TOPICS[name].broker_settings()["message.timestamp.type"],
                    incremental_operation=AlterConfigOpType.SET,
                )
            ],
        )
        for name in existing
        if TOPICS[name].timestamps == "append"
    ]
    if not resources:
        return
    for resource, future in admin.incremental_alter_configs(resources).items():
        try:
            future.result(_TIMEOUT_SECONDS)
        except KafkaException as error:
            _LOG.warning("topic_setting_not_changed", topic=resource.name, error=str(error))


def wanted_settings(topic: Topic, replication: int) -> dict[str, str]:
    """Settings of the topic with so many copies."""
    in_sync_min = 2 if replication >= _REPLICATION_SAFE else 1
    return {**topic.broker_settings(), "min.insync.replicas": str(in_sync_min)}


def _new_topic(topic: Topic, replication: int, partitions: int | None) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=partitions or topic.partitions,
        replication_factor=replication,
        config=wanted_settings(topic, replication),
    )


def _created(name: str, future: "object") -> bool:
    try:
        future.result(_TIMEOUT_SECONDS)  # type: ignore[attr-defined] # confluent_kafka is untyped
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise TopicsNotCreated(f"{name}: {error.args[0].str()}") from error
    return True
