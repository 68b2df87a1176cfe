"""Tests of agents without a broker: `run_batch` runs one poll, tables live in memory.

    outputs = await run_batch(app, "words", [SourceRecord(b"be"), SourceRecord(b"be")])
    assert [output.value for output in outputs.of("counts")] == [b"1", b"2"]
    assert counts.get("be") == 2

It uses the engine's own parts: records are decoded, failed batches are rolled back and tried record
by record, dead letters are written, and the transaction is applied to the tables. Only the broker
is missing, so nothing of Kafka is tested: fencing, restore and rebalance are the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.app import EngineApp
from engine.consumers.poll_batch import PollBatch
from engine.errors import Retry
from engine.producer_record import NO_HEADERS, Key, ProducerRecord
from engine.topic import BatchTopic
from engine.transactions.transaction import Transaction
from engine.types import TopicPartition

__all__ = ["Outputs", "SourceMessage", "SourceRecord", "run_batch"]


class SourceRecord(NamedTuple):
    """A record of the source topic; its offset is its index within its partition."""

    value: bytes | None
    key: Key = None
    headers: Mapping[str, bytes] = NO_HEADERS
    partition: int = 0
    timestamp_ms: int = 0


class Outputs(NamedTuple):
    """What the poll would have committed.

    `records`: in the order of writing, dead letters included. `offsets`: next offset per source
    partition. `retry`: raised by the agent; then the rest of the poll was not handled.
    """

    records: list[ProducerRecord]
    offsets: Mapping[TopicPartition, int]
    dead_letter_count: int
    retry: Retry | None

    def of(self, topic: str) -> list[ProducerRecord]:
        """The outputs to one topic."""
        return [record for record in self.records if record.topic == topic]


class SourceMessage:
    """A consumed message, as the client library represents it."""

    def __init__(
        self,
        offset: int,
        value: bytes | None = b"{}",
        key: bytes | None = b"k",
        topic: str = "in",
        partition: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        self._parts = (topic, partition, offset, key, value, headers, timestamp_ms)

    def topic(self) -> str:
        """Topic it was read from."""
        return self._parts[0]

    def partition(self) -> int:
        """Partition it was read from."""
        return self._parts[1]

    def offset(self) -> int:
        """Its offset in the partition."""
        return self._parts[2]

    def key(self) -> bytes | None:
        """Key bytes."""
        return self._parts[3]

    def value(self) -> bytes | None:
        """Value bytes; None for a tombstone."""
        return self._parts[4]

    def headers(self) -> list[tuple[str, bytes]] | None:
        """Headers, or None."""
        return self._parts[5]

    def timestamp(self) -> tuple[int, int]:
        """(type, epoch milliseconds)"""
        return 1, self._parts[6]

    def error(self) -> Any:
        """None: it is a record."""
        return None

    def __len__(self) -> int:
        return len(self._parts[4] or b"")


async def run_batch(
    app: EngineApp, topic: BatchTopic | str, records: Sequence[SourceRecord]
) -> Outputs:
    """Run the topic's agent over these records as one poll, and apply what it wrote to the tables.

    The partitions of the records count as owned, so that `get`, `items` and `due` of a table show
    the result. Tables keep their state from call to call. Raises `BatchFailed` for a record that
    fails when the app has no dead letter topic.
    """
    source = app.context.topics[topic] if isinstance(topic, str) else topic
    if source.function is None:
        raise ValueError(f"Batch topic {source.name} has no agent. Decorate one with app.agent.")
    agent = asyncio.create_task(source.channel.run(source.function))
    context = app.context
    poll_batch = PollBatch(
        context.config.settings,
        context.topics,
        context.tables,
        context.dead_letters,
        _messages(source.name, records),
        app_id=context.config.app_id,
    )
    try:
        transaction, retry = await poll_batch.transaction()
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
    _apply(app, transaction)
    failed = sum(count for good, count in transaction.outcomes if not good)
    return Outputs(transaction.outputs, transaction.offsets, failed, retry)


def _messages(topic: str, records: Sequence[SourceRecord]) -> list[SourceMessage]:
    next_offsets: dict[int, int] = {}
    messages = []
    for record in records:
        offset = next_offsets.get(record.partition, 0)
        next_offsets[record.partition] = offset + 1
        key = record.key.encode() if isinstance(record.key, str) else record.key
        headers = list(record.headers.items()) or None
        messages.append(
            SourceMessage(
                offset, record.value, key, topic, record.partition, headers, record.timestamp_ms
            )
        )
    return messages


def _apply(app: EngineApp, transaction: Transaction) -> None:
    transaction.apply()
    numbers = frozenset(source.partition for source in transaction.offsets)
    for table in app.context.tables:
        table.assign(table.owned_partitions | numbers)
