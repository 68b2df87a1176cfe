"""Settings of every plain Kafka client, and reading a topic from its start to its end."""

import time
from collections.abc import Iterator, Sequence
from operator import methodcaller
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka_connection import KafkaConnection

_METADATA_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.1
_POLL_RECORDS_MAX = 5_000
_SILENCE_SECONDS_MAX = 30.0
_QUIET = {"log_level": 0}
"""What librdkafka would print about a lost broker is in the TopicUnreadable that follows."""


class TopicUnreadable(Exception):
    """The topic is missing, or the broker stopped to answer before its end was reached."""


class RecordsGone(TopicUnreadable):
    """Retention took the record at the offset to begin with, or it is not written yet."""


class StoredRecord(NamedTuple):
    """One record of a topic, not decoded."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp_ms: int
    raw_key: bytes | None = None
    raw_headers: Sequence[tuple[str, bytes | None]] = ()


def client_settings(kafka: KafkaConnection) -> dict[str, object]:
    """What every client has: reconnects are tried each second, not after librdkafka's 10."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        **kafka.security,
    }


def producer_settings(kafka: KafkaConnection) -> dict[str, object]:
    """Idempotent, acknowledged by all in-sync replicas, partitioned as the Java client does."""
    return {
        **client_settings(kafka),
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        "compression.type": "lz4",
    }


def not_acknowledged(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Why a record must be sent again; None only if the broker itself said that it has it.

    librdkafka (`rd_kafka_dr_implicit_ack`) calls a record delivered when a later one of its
    partition was, and then knows no offset. That is wrong for a producer's first record there: a
    broker that knows no sequence number of the producer yet takes any (decision 0021).
    """
    if error is not None:
        return error
    offset = message.offset()
    if offset is None or offset < 0:
        return KafkaError(KafkaError._STATE, "the broker acknowledged later records, not this one")
    return None


def consumer_settings(kafka: KafkaConnection, group: str) -> dict[str, object]:
    """Reads committed transactions only and never commits by itself."""
    return {
        **client_settings(kafka),
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 5,
    }


def partitions_of(kafka: KafkaConnection, topic: str) -> list[int]:
    """The partitions that the topic has. Raises TopicUnreadable."""
    consumer = Consumer({**consumer_settings(kafka, "paystream-reader"), **_QUIET})
    try:
        return _partitions(consumer, topic)
    finally:
        consumer.close()


def read_topic(
    kafka: KafkaConnection,
    topic: str,
    isolation: str = "read_committed",
    partitions: Sequence[int] | None = None,
) -> Iterator[StoredRecord]:
    """All records from the log's start to the end that it had when each partition was reached.

    In offset order per partition; `partitions`: only these. Raises TopicUnreadable.
    """
    consumer = Consumer(
        {
            **consumer_settings(kafka, "paystream-reader"),
            "isolation.level": isolation,
            "enable.partition.eof": True,
            **_QUIET,
        }
    )
    try:
        chosen = _partitions(consumer, topic) if partitions is None else list(partitions)
        yield from _read_assigned(consumer, topic, chosen)
    finally:
        consumer.close()


def read_partition(
    kafka: KafkaConnection, topic: str, partition: int, first: int, end: int
) -> Iterator[StoredRecord]:
    """Committed records of first <= offset < end. Raises RecordsGone, TopicUnreadable."""
    consumer = Consumer(
        {
            **consumer_settings(kafka, "paystream-reader"),
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            **_QUIET,
        }
    )
    try:
        for stored in _read_assigned(consumer, topic, [partition], first):
            if stored.offset >= end:
                return
            yield stored
    except KafkaException as error:
        raise TopicUnreadable(f"{topic}/{partition} from {first}: {error}") from error
    finally:
        consumer.close()


def _read_assigned(
    consumer: Consumer, topic: str, partitions: Sequence[int], first: int = 0
) -> Iterator[StoredRecord]:
    consumer.assign([TopicPartition(topic, p, first) for p in partitions])
    open_partitions = set(partitions)
    heard = time.monotonic()
    while open_partitions:
        messages = consumer.consume(_POLL_RECORDS_MAX, _POLL_SECONDS)
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > _SILENCE_SECONDS_MAX:
            raise TopicUnreadable(
                f"The broker sent nothing of {topic} for {_SILENCE_SECONDS_MAX:.0f} s. Check that"
                " it is up."
            )
        for message in messages:
            error = message.error()
            if error is None:
                yield _stored(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise RecordsGone(f"{topic}/{message.partition()} from {first}: {error.str()}")
            elif not error.retriable():
                raise TopicUnreadable(f"{topic}: {error.str()}")


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    try:
        metadata = consumer.list_topics(topic, timeout=_METADATA_TIMEOUT_SECONDS).topics[topic]
    except KafkaException as error:
        raise TopicUnreadable(
            f"{topic} cannot be read: {error.args[0].str()}. Check that the broker is up."
        ) from error
    if metadata.error is not None:
        raise TopicUnreadable(f"{topic}: {metadata.error.str()}")
    return list(metadata.partitions)


_headers = methodcaller("headers")


def header_items(message: Any) -> list[tuple[str, bytes | None]]:
    """All headers of a message, in order; none at all if a name is not UTF-8.

    confluent_kafka answers such a name with null pointers and a pending exception. A call from
    Python's bytecode may overlook that exception; a call through `operator` checks for it.
    """
    try:
        return _headers(message) or []
    except SystemError:
        message.set_headers([])
        return []


def _stored(message: "object") -> StoredRecord:
    headers = header_items(message)
    key = message.key()  # type: ignore[attr-defined] # confluent_kafka.Message is untyped
    return StoredRecord(
        message.topic(),  # type: ignore[attr-defined] # as above
        message.partition(),  # type: ignore[attr-defined] # as above
        message.offset(),  # type: ignore[attr-defined] # as above
        None if key is None else key.decode("utf-8", "replace"),
        message.value(),  # type: ignore[attr-defined] # as above
        {name: value or b"" for name, value in headers},
        message.timestamp()[1],  # type: ignore[attr-defined] # as above
        key,
        headers,
    )
