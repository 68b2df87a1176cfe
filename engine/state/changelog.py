"""Reading changelog partitions up to known end offsets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as KafkaTopicPartition

from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.record import header_items
from engine.state.partition import TablePartition
from engine.transactions.fencing import fence_owner, open_owners
from engine.transactions.offset_metadata import sources_from_headers
from engine.types import TopicPartition

log = logging.getLogger(__name__)
RECORDS_PER_POLL = 20_000
POLL_SECONDS = 0.05
REPORT_SECONDS = 5.0


class ChangelogRange:
    """One changelog partition, to be read from the state's position up to `end` (exclusive).

    `owners`: transactional ids that may have left a transaction open in it.
    """

    def __init__(
        self, partition: TablePartition, end: int, owners: frozenset[str] = frozenset()
    ) -> None:
        self.source = TopicPartition(partition.changelog_topic, partition.number)
        self.partition = partition
        self.end = end
        self.owners = owners
        self.last_message: Any = None
        self.stuck_since: float | None = None

    @property
    def complete(self) -> bool:
        """Nothing is left to read."""
        return self.partition.store.position >= self.end

    def load(self, messages: list[Any]) -> None:
        """Apply committed records in order; one without a text key is none of the engine's."""
        writes = [
            (key, message.value())
            for message in messages
            if (key := _text(message.key())) is not None
        ]
        self.last_message = messages[-1]
        self.partition.load(writes, self.last_message.offset() + 1)
        self.stuck_since = None

    def at_end(self, offset: int) -> None:
        """The reader saw everything that is readable below `offset` (last stable offset).

        Below `end` there is an open transaction: its owner is dead, or is about to finish.
        """
        store = self.partition.store
        store.apply((), max(store.position, offset))
        if not self.complete and self.stuck_since is None:
            self.stuck_since = time.monotonic()

    def finish(self) -> None:
        """Everything is read: bring timers and source offsets in line with the state."""
        self.partition.restored_at = time.monotonic()
        if self.last_message is not None:
            self.partition.sources.update(sources_from_headers(header_items(self.last_message)))
            self.partition.finish_load()


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None


class ChangelogReader:
    """Blocking; ends when every range is complete, or when `stop` is set."""

    def __init__(
        self,
        config: ClientConfig,
        ranges: Sequence[ChangelogRange],
        stop: threading.Event,
        on_progress: Callable[[], None],
    ) -> None:
        self._config = config
        self._ranges = {each.source: each for each in ranges}
        self._stop = stop
        self._on_progress = on_progress
        self._fenced: set[str] = set()
        self._reported_at = time.monotonic()

    def read(self) -> int | None:
        """Number of records read; None when stopped before the end."""
        count: int | None = 0
        if not all(each.complete for each in self._ranges.values()):
            consumer = Consumer(self._config.restore_consumer())
            try:
                count = self._read_all(consumer)
            finally:
                consumer.close()
        if count is not None:
            for each in self._ranges.values():
                each.finish()
        return count

    def _read_all(self, consumer: Any) -> int | None:
        todo = [each for each in self._ranges.values() if not each.complete]
        consumer.assign(
            [KafkaTopicPartition(*each.source, each.partition.store.position) for each in todo]
        )
        count = 0
        while todo:
            if self._stop.is_set():
                return None
            count += self._apply(consumer.consume(RECORDS_PER_POLL, POLL_SECONDS))
            todo = [each for each in todo if not each.complete]
            self._fence_stuck(todo)
            self._report(count, todo)
        return count

    def _apply(self, messages: list[Any]) -> int:
        """Records before an end-of-partition event must be applied before it."""
        run: dict[TopicPartition, list[Any]] = {}
        count = 0
        for message in messages:
            part = TopicPartition(message.topic(), message.partition())
            error = message.error()
            if error is None:
                run.setdefault(part, []).append(message)
                count += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                if pending := run.pop(part, None):
                    self._ranges[part].load(pending)
                self._ranges[part].at_end(message.offset())
            else:
                raise_if_unauthorized(error, f"restore from {part}")
                log.warning("restore: %s", error)
        for part, pending in run.items():
            self._ranges[part].load(pending)
        if count:
            self._on_progress()
        return count

    def _fence_stuck(self, todo: list[ChangelogRange]) -> None:
        now = time.monotonic()
        limit = self._config.settings.fence_after_seconds
        stuck = [e for e in todo if e.stuck_since is not None and now - e.stuck_since >= limit]
        if not stuck:
            return
        committed_by = frozenset().union(*(each.owners for each in stuck))
        owners = open_owners(self._config, [each.source for each in stuck]) or committed_by
        for owner in owners - self._fenced - {self._config.transactional_id}:
            log.warning("open transaction of %s below %d", owner, stuck[0].end)
            self._fenced.add(owner)
            fence_owner(self._config, owner)
        for each in stuck:
            each.stuck_since = time.monotonic()

    def _report(self, count: int, todo: list[ChangelogRange]) -> None:
        now = time.monotonic()
        if todo and now - self._reported_at > REPORT_SECONDS:
            self._reported_at = now
            left = sum(each.end - each.partition.store.position for each in todo)
            log.info("restore: %d records read, %d offsets to go", count, left)
