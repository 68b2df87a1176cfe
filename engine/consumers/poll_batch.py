"""From the messages of one poll to transactions: deliver to agents, isolate poison, let agents
retry.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.batch import Batch
from engine.consumers.batch_slice import BatchSlice, batch_slices
from engine.consumers.dead_letters import DeadLetterReason, DeadLetters
from engine.consumers.replays import DecodeReplay, ReplayedMessage
from engine.errors import AgentEnded, AgentUsageError, BatchFailed, Retry, UnreadableState
from engine.record import NEWER_RECORD_PAUSE_SECONDS, Record, decoded
from engine.settings import EngineSettings
from engine.state.table import TransactionalTable
from engine.topic import BatchTopic
from engine.transactions.transaction import BatchTransaction, Transaction
from engine.types import TopicPartition

log = logging.getLogger(__name__)


class PollBatch:
    """The slices of one poll; each `transaction` takes as many of them as can commit now."""

    def __init__(
        self,
        settings: EngineSettings,
        topics: Mapping[str, BatchTopic],
        tables: Iterable[TransactionalTable],
        dead_letters: DeadLetters | None,
        messages: list[Any],
        times: Mapping[TopicPartition, int] | None = None,
        app_id: str = "",
    ) -> None:
        self.replays_skipped = 0
        self._app_id = app_id
        self._times = times or {}
        self._settings = settings
        self._topics = topics
        self._tables = tuple(tables)
        self._expires = any(table.expires_ms is not None for table in self._tables)
        self._dead_letters = dead_letters
        merge_partitions = {name for name, topic in topics.items() if topic.merge_partitions}
        slices = batch_slices(messages, merge_partitions, tuple(topics))
        self._pending = deque(self._slices(slices))

    @property
    def done(self) -> bool:
        """Everything was handled."""
        return not self._pending

    async def transaction(self) -> tuple[Transaction, Retry | None]:
        """Deliver to the agents; stops early when one of them asks for a retry.

        The transaction holds what was handled before (it may be empty). Raises `BatchFailed` for a
        record that fails alone when there is no dead letter topic, and `AgentEnded`.
        """
        transaction = Transaction()
        while self._pending:
            try:
                await self._handle(self._pending[0], transaction)
            except Retry as retry:
                return transaction, retry
        return transaction, None

    def _slices(self, slices: Iterable[BatchSlice]) -> Iterator[BatchSlice]:
        """Replays one by one: each is for an agent of its own."""
        for slice_ in slices:
            if self._topics[slice_.topic].decode_replay is None:
                yield slice_
            else:
                for message in slice_.messages:
                    yield BatchSlice(slice_.topic, slice_.partition, [message], isolated=True)

    async def _handle(self, slice_: BatchSlice, transaction: Transaction) -> None:
        topic = self._topics[slice_.topic]
        if topic.decode_replay is not None:
            replayed = self._replayed(topic.decode_replay, slice_)
            if replayed is None:
                self._pending.popleft()
                self.replays_skipped += 1
                transaction.handled(slice_.next_offsets(), 0, good=True)
                return
            self._pending[0] = slice_ = replayed
            topic = self._topics[slice_.topic]
        batch_transaction = self._begin(transaction, slice_)
        records, undecodable, newer = _decode(topic, slice_.messages)
        if newer is not None:
            self._wait_before(*newer)
            return
        if undecodable and self._dead_letters is None:
            message, error = undecodable[0]
            raise BatchFailed(f"{_place(message)} cannot be decoded: {error!r}") from error
        try:
            if records:
                batch = Batch(slice_.topic, records, batch_transaction, expires=self._expires)
                await topic.channel.deliver(batch)
            self._advance(batch_transaction, records)
            batch_transaction.commit_to(transaction)
        except (Retry, AgentEnded, AgentUsageError, UnreadableState):
            batch_transaction.discard()
            raise
        except Exception as exc:
            batch_transaction.discard()
            self._isolate(slice_, transaction, exc)
            return
        self._pending.popleft()
        offsets = slice_.next_offsets()
        for message, error in undecodable:
            self._dead_letter(message, DeadLetterReason.UNDECODABLE, error, transaction, offsets)
        self._handled(transaction, offsets, len(records), good=True)
        now_ms = batch_transaction.clock.now_ms
        for source in offsets:
            transaction.times[source] = max(self._time_of(source, transaction), now_ms)

    def _replayed(self, decode_replay: DecodeReplay, slice_: BatchSlice) -> BatchSlice | None:
        """The record for its agent; None if it is for another app, or for nobody."""
        copy = slice_.messages[0]
        try:
            replay = decode_replay(copy.value())
        except Exception as exc:
            log.error("%s is no replay and is skipped: %r", _place(copy), exc)
            return None
        topic = self._topics.get(replay.record.topic)
        if replay.app_id != self._app_id or topic is None or topic.decode_replay is not None:
            return None
        if replay.record.partition != slice_.partition:
            log.error("%s is not in the partition of its record and is skipped", _place(copy))
            return None
        log.info("%s: a record of %s is handled again", _place(copy), topic.name)
        return BatchSlice(
            topic.name,
            None if topic.merge_partitions else slice_.partition,
            [ReplayedMessage(replay.record, copy)],
            isolated=True,
            offsets=slice_.next_offsets(),
        )

    def _wait_before(self, index: int, error: Exception) -> None:
        """Handle what stands before a record of a newer release; raises `Retry` at the record."""
        slice_ = self._pending[0]
        if index == 0:
            raise _newer(slice_.messages[0], error)
        self._pending.popleft()
        self._pending.extendleft(reversed(slice_.parts_at(index)))

    def _isolate(self, slice_: BatchSlice, transaction: Transaction, error: Exception) -> None:
        """Roll back, try smaller slices; a record that fails alone is dead-lettered."""
        cause = error.__cause__ or error
        if not slice_.isolated:
            parts = slice_.split()
            log.warning("%s; retrying its %d records in parts", error, len(slice_.messages))
            self._pending.popleft()
            self._pending.extendleft(reversed(parts))
            return
        message = slice_.messages[0]
        if isinstance(cause, self._topics[slice_.topic].wait_errors):
            raise _newer(message, cause)
        if self._dead_letters is None:
            raise BatchFailed(f"{_place(message)} cannot be processed: {cause!r}") from cause
        self._pending.popleft()
        undecodable = isinstance(cause, self._topics[slice_.topic].decode_errors)
        reason = DeadLetterReason.UNDECODABLE if undecodable else DeadLetterReason.HANDLER_FAILED
        self._dead_letter(message, reason, cause, transaction, slice_.next_offsets())

    def _dead_letter(
        self,
        message: Any,
        reason: DeadLetterReason,
        error: BaseException,
        transaction: Transaction,
        offsets: Mapping[TopicPartition, int],
    ) -> None:
        assert self._dead_letters is not None
        log.error("%s goes to the dead letters (%s): %r", _place(message), reason, error)
        transaction.outputs.append(self._dead_letters.record_for(message, reason, error))
        self._handled(transaction, offsets, 1, good=False)

    def _handled(
        self,
        transaction: Transaction,
        offsets: Mapping[TopicPartition, int],
        count: int,
        *,
        good: bool,
    ) -> None:
        transaction.handled(offsets, count, good=good)
        for source in offsets:
            number = source.partition
            if number not in transaction.partitions:
                transaction.partitions[number] = [
                    table.partition_state(number) for table in self._tables
                ]

    def _begin(self, transaction: Transaction, slice_: BatchSlice) -> BatchTransaction:
        number = slice_.partition
        source = TopicPartition(slice_.topic, -1 if number is None else number)
        return BatchTransaction(
            number,
            record_bytes_max=self._settings.record_bytes_max,
            output_bytes_max=self._settings.output_bytes_max,
            pending=transaction.writes,
            time_ms=self._time_of(source, transaction),
        )

    def _time_of(self, source: TopicPartition, transaction: Transaction) -> int:
        return transaction.times.get(source, self._times.get(source, 0))

    def _advance(self, batch_transaction: BatchTransaction, records: list[Record]) -> None:
        """Also for an agent that did not iterate over every record."""
        if self._expires and records:
            batch_transaction.clock.advance(max(record.timestamp_ms for record in records))


_Decoded = tuple[list[Record], list[tuple[Any, Exception]], tuple[int, Exception] | None]
"""Records; messages that cannot be decoded; the place of the first one of a newer release."""


def _decode(topic: BatchTopic, messages: list[Any]) -> _Decoded:
    decode = topic.decode
    try:
        return [Record(message, decode(message.value())) for message in messages], [], None
    except Exception:
        return _decode_one_by_one(topic, messages)


def _decode_one_by_one(topic: BatchTopic, messages: list[Any]) -> _Decoded:
    records: list[Record] = []
    failed: list[tuple[Any, Exception]] = []
    for index, message in enumerate(messages):
        try:
            records.append(decoded(message, topic.decode))
        except topic.wait_errors as exc:
            return [], [], (index, exc)
        except Exception as exc:
            failed.append((message, exc))
    return records, failed, None


def _newer(message: Any, error: BaseException) -> Retry:
    return Retry(
        NEWER_RECORD_PAUSE_SECONDS,
        f"{_place(message)} is a record of a newer release: {error}. This worker waits before it."
        " Start the new release of the worker.",
    )


def _place(message: Any) -> str:
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"
