"""Ending a transaction that the broker calls complete and has written no markers for (ADR 0024)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka import Producer as KafkaProducer
from confluent_kafka.admin import AdminClient

from engine.broker.clients import ClientConfig
from engine.transactions.fencing import ADMIN_SECONDS, INIT_SECONDS, LogPart, end_offsets
from engine.transactions.transaction import SourcePartition

log = logging.getLogger(__name__)
ABORT_SECONDS = 30
UNDECIDED_SECONDS_MARGIN = 15.0
"""What is undecided for so much longer than a transaction may last is ended by nobody else."""
_PROBE = b"unmarked"


def abort_hanging_transaction(
    config: ClientConfig, transactional_id: str, sources: Sequence[SourcePartition]
) -> bool:
    """Write an abort marker of `transactional_id` into the group's offsets and into every partition
    where something is undecided; False if that failed, with a line in the log.

    After `init_transactions` the id has no transaction of its own, so what still stands open under
    it is what the markers were forgotten for: nobody could read it, and its offsets go back with
    it, so its records are processed again. Others' open transactions stay open: an aborted record
    between theirs is never seen.
    """
    try:
        parts = _held_up(config)
        _abort(config, transactional_id, parts, sources[0])
    except KafkaException as exc:
        log.warning("ending what %s left undecided failed: %s", transactional_id, exc)
        return False
    log.error("ended what %s left undecided; held up: %s", transactional_id, parts)
    return True


def _held_up(config: ClientConfig) -> list[LogPart]:
    admin = AdminClient(config.base())
    topics = admin.list_topics(timeout=ADMIN_SECONDS).topics
    parts = [
        (name, number)
        for name, topic in topics.items()
        if not name.startswith("__")
        for number in topic.partitions
    ]
    stable = end_offsets(config, parts, IsolationLevel.READ_COMMITTED)
    ends = end_offsets(config, parts, IsolationLevel.READ_UNCOMMITTED)
    return sorted(part for part in parts if stable[part] < ends[part])


def _abort(
    config: ClientConfig,
    transactional_id: str,
    parts: Collection[LogPart],
    source: SourcePartition,
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
        offsets = [TopicPartition(*source, 0)]  # aborted as well
        client.send_offsets_to_transaction(offsets, group, ABORT_SECONDS)
        client.abort_transaction(ABORT_SECONDS)
    finally:
        member.close()
