"""Ends hanging transactions (KAFKA-9144, KIP-664): those without markers in the log."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicCollection
from confluent_kafka import Producer as KafkaProducer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AclOperation, AdminClient

from engine.broker.clients import ClientConfig
from engine.transactions.fencing import ADMIN_SECONDS, INIT_SECONDS, end_offsets
from engine.types import TopicPartition

log = logging.getLogger(__name__)
ABORT_SECONDS = 30
UNSTABLE_SECONDS_MARGIN = 15.0
"""Over the transaction timeout: offsets that are unstable for longer never become stable."""
_PROBE = b"hanging-transaction-probe"


def abort_hanging_transaction(
    config: ClientConfig, transactional_id: str, sources: Sequence[TopicPartition]
) -> bool:
    """Write an abort marker of `transactional_id` into the group's offsets and into every partition
    with an open transaction. False if that failed, with a line in the log.

    After `init_transactions` the id has no transaction of its own. What is still open under it is
    the hanging one: no reader ever saw it, and its offsets are aborted with it, so its records are
    processed again. Open transactions of other ids stay open; an aborted record between theirs is
    never seen.
    """
    try:
        parts = _held_up(config)
        _abort(config, transactional_id, parts, sources[0])
    except KafkaException as exc:
        log.warning("aborting the hanging transaction of %s failed: %s", transactional_id, exc)
        return False
    log.error("aborted a hanging transaction of %s; it held up %s", transactional_id, parts)
    return True


def _held_up(config: ClientConfig) -> list[TopicPartition]:
    admin = AdminClient(config.base())
    topics = admin.list_topics(timeout=ADMIN_SECONDS).topics
    parts = [
        TopicPartition(name, number)
        for name, topic in topics.items()
        if not name.startswith("__")
        for number in topic.partitions
    ]
    stable = end_offsets(config, parts, IsolationLevel.READ_COMMITTED)
    ends = end_offsets(config, parts, IsolationLevel.READ_UNCOMMITTED)
    held_up = sorted(part for part in parts if stable[part] < ends[part])
    writable = _writable(admin, {part.topic for part in held_up})
    return [part for part in held_up if part.topic in writable]


def _writable(admin: AdminClient, topics: Collection[str]) -> set[str]:
    """Those that this worker may write: a transaction of its own cannot be open in others."""
    if not topics:
        return set()
    asked = admin.describe_topics(
        TopicCollection(list(topics)),
        include_authorized_operations=True,
        request_timeout=ADMIN_SECONDS,
    )
    return {
        name
        for name, answer in asked.items()
        if AclOperation.WRITE in (answer.result(ADMIN_SECONDS).authorized_operations or ())
    }


def _abort(
    config: ClientConfig,
    transactional_id: str,
    parts: Collection[TopicPartition],
    source: TopicPartition,
) -> None:
    settings = config.transactional_producer() | {"transactional.id": transactional_id}
    client, member = KafkaProducer(settings), Consumer(config.unstable_consumer())
    try:
        client.init_transactions(INIT_SECONDS)
        client.begin_transaction()
        for topic, number in parts:
            client.produce(topic, _PROBE, _PROBE, number)
        client.flush(ABORT_SECONDS)
        group = member.consumer_group_metadata()
        offsets = [KafkaTopicPartition(*source, 0)]  # aborted as well
        client.send_offsets_to_transaction(offsets, group, ABORT_SECONDS)
        client.abort_transaction(ABORT_SECONDS)
    finally:
        member.close()
