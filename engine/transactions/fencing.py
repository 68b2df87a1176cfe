"""Ends a predecessor's open transaction at once, instead of waiting for its timeout."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import Producer as KafkaProducer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from engine.broker.clients import ClientConfig
from engine.record import header_items
from engine.transactions.offset_metadata import owner_from_headers
from engine.types import TopicPartition

log = logging.getLogger(__name__)
INIT_SECONDS = 10
ADMIN_SECONDS = 5
READ_SECONDS = 5.0
RECORDS_PER_POLL = 2000


def fence_owner(config: ClientConfig, transactional_id: str) -> None:
    """Bump the epoch of `transactional_id`: the broker aborts its transaction, its owner is fenced.

    Blocking, up to 10 s. A failure is only logged: the transaction then ends by its own timeout.
    """
    started = time.monotonic()
    settings = config.transactional_producer() | {"transactional.id": transactional_id}
    try:
        KafkaProducer(settings).init_transactions(INIT_SECONDS)
    except KafkaException as exc:
        log.warning("fencing %s failed: %s", transactional_id, exc)
        return
    log.warning("fenced %s in %.2f s", transactional_id, time.monotonic() - started)


def end_offsets(
    config: ClientConfig, parts: Collection[TopicPartition], isolation: IsolationLevel
) -> dict[TopicPartition, int]:
    """Last stable offset (READ_COMMITTED), or end with open transactions counted.

    A fresh client: an old one may keep a stale leader. Raises `KafkaException`.
    """
    return list_offsets(config, parts, OffsetSpec.latest(), isolation)


def list_offsets(
    config: ClientConfig,
    parts: Collection[TopicPartition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> dict[TopicPartition, int]:
    """Offsets as the leaders report them now; see `end_offsets`."""
    admin = AdminClient(config.base())  # must live until the requests are answered
    answers = admin.list_offsets(
        {KafkaTopicPartition(topic, number): spec for topic, number in parts},
        isolation_level=isolation,
        request_timeout=ADMIN_SECONDS,
    )
    try:
        return {
            TopicPartition(asked.topic, asked.partition): answer.result(ADMIN_SECONDS * 2).offset
            for asked, answer in answers.items()
        }
    except TimeoutError as exc:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "list_offsets")) from exc


def open_owners(config: ClientConfig, parts: Collection[TopicPartition]) -> frozenset[str]:
    """Transactional ids with an open transaction in these changelog partitions, by its records.

    A transaction writes its offsets after the changelog, so a worker that holds up committed
    offsets is found here, unless it changed no table. Blocking, some 20 s at most; empty when the
    brokers do not answer.
    """
    if not parts:
        return frozenset()
    try:
        stable = end_offsets(config, parts, IsolationLevel.READ_COMMITTED)
        ends = end_offsets(config, parts, IsolationLevel.READ_UNCOMMITTED)
    except KafkaException as exc:
        log.warning("looking for open transactions: %s", exc)
        return frozenset()
    held_up = [
        KafkaTopicPartition(topic, number, offset)
        for (topic, number), offset in stable.items()
        if offset < ends[TopicPartition(topic, number)]
    ]
    return _owners_from(config, held_up) if held_up else frozenset()


def _owners_from(config: ClientConfig, positions: list[KafkaTopicPartition]) -> frozenset[str]:
    consumer = Consumer(config.unstable_consumer() | {"enable.partition.eof": True})
    owners: set[str] = set()
    unread = {TopicPartition(position.topic, position.partition) for position in positions}
    deadline = time.monotonic() + READ_SECONDS
    try:
        consumer.assign(positions)
        while unread and time.monotonic() < deadline:
            for message in consumer.consume(RECORDS_PER_POLL, 0.1):
                _note_owner(message, owners, unread)
    finally:
        consumer.close()
    return frozenset(owners - {config.transactional_id})


def _note_owner(message: Any, owners: set[str], unread: set[TopicPartition]) -> None:
    error = message.error()
    if error is None:
        owner = owner_from_headers(header_items(message))
        owners.update([owner] if owner else [])
    elif error.code() == KafkaError._PARTITION_EOF:
        unread.discard(TopicPartition(message.topic(), message.partition()))
