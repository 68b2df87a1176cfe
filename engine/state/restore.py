"""Brings tables and source positions to one committed state, from the log alone.

The order makes it correct: first the new generation is joined; then committed offsets are read,
stable ones; then the ends of the changelogs, open transactions included; then the changelogs up to
those ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
)
from confluent_kafka import (
    TopicPartition as KafkaTopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.errors import LogTruncated
from engine.state.changelog import ChangelogRange, ChangelogReader
from engine.state.partition import TablePartition
from engine.state.table import TransactionalTable
from engine.transactions.fencing import end_offsets, fence_owner, list_offsets, open_owners
from engine.transactions.hanging_transactions import (
    UNSTABLE_SECONDS_MARGIN,
    abort_hanging_transaction,
)
from engine.transactions.offset_metadata import OffsetMetadata
from engine.types import TopicPartition

log = logging.getLogger(__name__)
SourceMetadata = dict[TopicPartition, OffsetMetadata]
COMMITTED_SECONDS = 2
UNSTABLE_OFFSET_CODES = frozenset({KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT})


class RestoreResult:
    """Positions to continue from, record times per source, and how much was read."""

    def __init__(
        self,
        positions: Mapping[TopicPartition, int],
        times: Mapping[TopicPartition, int],
        record_count: int,
    ) -> None:
        self.positions = positions
        self.times = times
        self.record_count = record_count


class StateRestorer:
    """The restore of one assignment; blocking, in its own thread. `stop` ends it from outside."""

    def __init__(
        self,
        config: ClientConfig,
        fetch_consumer: Any,
        tables: Sequence[TransactionalTable],
        sources: Sequence[TopicPartition],
    ) -> None:
        self._config = config
        self._settings = config.settings
        self._consumer = fetch_consumer
        self._tables = tables
        self._sources = sources
        self.stop = threading.Event()
        self.progress_at = time.monotonic()
        self._fenced: set[str] = set()
        self._unstable_since: float | None = None

    def run(self) -> RestoreResult | None:
        """Positions to continue from; None when stopped.

        Raises `LogTruncated` after `truncation_confirm_seconds`, `NonRetriableBrokerError` for a
        missing right.

        Any other broker error is waited out: an unavailable leader never means an empty table.
        """
        stale_since = time.monotonic()
        while not self.stop.is_set():
            try:
                return self._attempt()
            except LogTruncated as exc:
                if time.monotonic() - stale_since > self._settings.truncation_confirm_seconds:
                    raise
                log.warning("restore: %s; asking again", exc)
            except KafkaException as exc:
                raise_if_unauthorized(exc.args[0], "restore")
                log.warning("restore: %s; waiting for the broker", exc)
                stale_since = time.monotonic()
            self.stop.wait(0.5)
        return None

    def _attempt(self) -> RestoreResult | None:
        offsets, metadata = self._committed()
        ranges = self._changelog_ranges(metadata)
        reader = ChangelogReader(self._config, ranges, self.stop, self._note_progress)
        record_count = reader.read()
        if record_count is None:
            return None
        self._check_sources(offsets)
        positions = {
            source: offset if offset >= 0 else OFFSET_BEGINNING
            for source, offset in offsets.items()
        }
        times = {source: found.time_ms for source, found in metadata.items()}
        return RestoreResult(positions, times, record_count)

    def _note_progress(self) -> None:
        self.progress_at = time.monotonic()

    def _committed(self) -> tuple[dict[TopicPartition, int], SourceMetadata]:
        """Stable committed offsets: the broker lets a read_committed reader wait for commits."""
        if not self._sources:
            return {}, {}
        try:
            found = read_committed_offsets(self._consumer, self._sources)
        except KafkaException as exc:
            if exc.args[0].code() in UNSTABLE_OFFSET_CODES:
                self._fence_owners_of_unstable_offsets()
            raise
        self._unstable_since = None
        return found

    def _fence_owners_of_unstable_offsets(self) -> None:
        """Offsets are written but not committed: end the transactions of former owners.

        A dead owner would hold up the restore until its transaction times out; a live one owns
        nothing any more. The records of the open transaction name their owner; without a table
        only the metadata of the last commit does.
        """
        consumer = Consumer(self._config.unstable_consumer())
        try:
            _, metadata = read_committed_offsets(consumer, self._sources)
        finally:
            consumer.close()
        committed_by = {found.owner for found in metadata.values()}
        owners = open_owners(self._config, self._changelog_partitions()) or committed_by
        for owner in owners - self._fenced - {self._config.transactional_id}:
            log.warning("offsets of %s are unstable: fencing it", owner)
            self._fenced.add(owner)
            fence_owner(self._config, owner)
        self._abort_hanging(owners | committed_by)

    def _abort_hanging(self, owners: AbstractSet[str]) -> None:
        """Only when every transaction must have ended long ago."""
        now = time.monotonic()
        if self._unstable_since is None:
            self._unstable_since = now
        limit = self._settings.transaction_timeout_seconds + UNSTABLE_SECONDS_MARGIN
        if now - self._unstable_since <= limit:
            return
        for owner in sorted({*owners, *self._fenced, self._config.transactional_id}):
            if abort_hanging_transaction(self._config, owner, self._sources):
                self._unstable_since = now

    def _changelog_ranges(self, metadata: SourceMetadata) -> list[ChangelogRange]:
        changelogs = self._changelog_partitions()
        if not changelogs:
            return []
        config, uncommitted = self._config, IsolationLevel.READ_UNCOMMITTED
        ends = end_offsets(config, changelogs, uncommitted)
        starts = list_offsets(config, changelogs, OffsetSpec.earliest(), uncommitted)
        return [
            self._changelog_range(
                table.partition_state(number), starts, ends, _metadata_of(metadata, number)
            )
            for table in self._tables
            for number in self._numbers()
        ]

    def _numbers(self) -> list[int]:
        return sorted({source.partition for source in self._sources})

    def _changelog_partitions(self) -> list[TopicPartition]:
        return [
            TopicPartition(table.changelog_topic_name, number)
            for table in self._tables
            for number in self._numbers()
        ]

    def _changelog_range(
        self,
        partition: TablePartition,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        metadata: list[OffsetMetadata],
    ) -> ChangelogRange:
        changelog = TopicPartition(partition.changelog_topic, partition.number)
        start, end = starts[changelog], ends[changelog]
        table = partition.table_name
        committed_end = max((found.changelogs.get(table, 0) for found in metadata), default=0)
        known_end = max(committed_end, partition.store.position)
        if end < known_end:
            self._reject(
                f"{changelog} ends at {end}, below the {known_end} of the committed offsets"
            )
        age = time.monotonic() - partition.restored_at
        position = partition.store.position
        too_old = age > self._settings.delete_retention_seconds / 2
        if position < start or position > end or too_old or self._settings.allow_offset_rewind:
            partition.clear()
        return ChangelogRange(partition, end, frozenset(found.owner for found in metadata))

    def _check_sources(self, offsets: Mapping[TopicPartition, int]) -> None:
        """A changelog names the source offsets that it reflects; committed ones must reach them."""
        for table in self._tables:
            for source, committed in offsets.items():
                reflected = table.partition_state(source.partition).sources.get(source.topic)
                if reflected is not None and committed < reflected:
                    self._reject(
                        f"table {table.name}[{source.partition}] reflects {source.topic} up to "
                        f"{reflected}, but {committed} is committed"
                    )

    def _reject(self, contradiction: str) -> None:
        if self._settings.allow_offset_rewind:
            log.warning("allow_offset_rewind: %s", contradiction)
            return
        raise LogTruncated(
            f"{contradiction}: the log lost data or was rewound. If that was deliberate, start "
            "once with allow_offset_rewind=True."
        )


def _metadata_of(metadata: SourceMetadata, number: int) -> list[OffsetMetadata]:
    return [found for source, found in metadata.items() if source.partition == number]


def read_committed_offsets(
    consumer: Any, sources: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], SourceMetadata]:
    """(offset, metadata) of each source. Raises `KafkaException`."""
    asked = [KafkaTopicPartition(*source) for source in sources]
    offsets: dict[TopicPartition, int] = {}
    metadata: SourceMetadata = {}
    for found in consumer.committed(asked, timeout=COMMITTED_SECONDS):
        if found.error is not None:
            raise KafkaException(found.error)
        source = TopicPartition(found.topic, found.partition)
        offsets[source] = found.offset
        decoded = OffsetMetadata.decode(found.metadata)
        if decoded is not None:
            metadata[source] = decoded
    return offsets, metadata
