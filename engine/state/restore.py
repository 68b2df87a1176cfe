"""Bringing tables and source positions to one committed state, from the log alone.

The order makes it correct (docs/operators/engine.md): the new generation has been joined; then
committed offsets, stable; then changelog ends, with open transactions counted; then the changelogs
up to those ends.
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
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.errors import LogTruncated
from engine.state.changelog import ChangelogRange, ChangelogReader
from engine.state.table import TransactionalTable
from engine.transactions.fencing import LogPart, end_offsets, fence_owner, list_offsets, open_owners
from engine.transactions.hanging_transactions import (
    UNDECIDED_SECONDS_MARGIN,
    abort_hanging_transaction,
)
from engine.transactions.offset_metadata import OffsetMetadata
from engine.transactions.transaction import SourcePartition

log = logging.getLogger(__name__)
Notes = dict[SourcePartition, OffsetMetadata]
COMMITTED_SECONDS = 2
UNDECIDED_CODES = frozenset({KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT})


class RestoreResult:
    """Where to go on, and how much was read."""

    def __init__(
        self,
        positions: Mapping[SourcePartition, int],
        times: Mapping[SourcePartition, int],
        record_count: int,
    ) -> None:
        self.positions = positions
        self.times = times
        self.record_count = record_count


class StateRestorer:
    """One takeover's restore; blocking, in a thread of its own. `stop` ends it from outside."""

    def __init__(
        self,
        config: ClientConfig,
        fetch_consumer: Any,
        tables: Sequence[TransactionalTable],
        sources: Sequence[SourcePartition],
    ) -> None:
        self._config = config
        self._settings = config.settings
        self._consumer = fetch_consumer
        self._tables = tables
        self._sources = sources
        self.stop = threading.Event()
        self.progress_at = time.monotonic()
        self._fenced: set[str] = set()
        self._undecided_since: float | None = None

    def run(self) -> RestoreResult | None:
        """Positions to go on from; None when stopped.

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
        offsets, notes = self._committed()
        sections = self._sections(notes)
        reader = ChangelogReader(self._config, sections, self.stop, self._note_progress)
        record_count = reader.read()
        if record_count is None:
            return None
        self._check_sources(offsets)
        positions = {
            source: offset if offset >= 0 else OFFSET_BEGINNING
            for source, offset in offsets.items()
        }
        times = {source: note.time_ms for source, note in notes.items()}
        return RestoreResult(positions, times, record_count)

    def _note_progress(self) -> None:
        self.progress_at = time.monotonic()

    def _committed(self) -> tuple[dict[SourcePartition, int], Notes]:
        """Stable committed offsets: the broker lets a read_committed reader wait for commits."""
        if not self._sources:
            return {}, {}
        try:
            found = read_committed_offsets(self._consumer, self._sources)
        except KafkaException as exc:
            if exc.args[0].code() in UNDECIDED_CODES:
                self._fence_undecided()
            raise
        self._undecided_since = None
        return found

    def _fence_undecided(self) -> None:
        """Somebody's offsets are written but not committed: end the transactions of former owners.

        A dead one would hold us up until its transaction times out; a live one owns nothing now.
        The open transaction itself says whose it is; without a table only the last commit does.
        """
        consumer = Consumer(self._config.unstable_consumer())
        try:
            _, notes = read_committed_offsets(consumer, self._sources)
        finally:
            consumer.close()
        noted = {note.owner for note in notes.values()}
        owners = open_owners(self._config, self._log_parts()) or noted
        for owner in owners - self._fenced - {self._config.transactional_id}:
            log.warning("offsets of %s are undecided: fencing it", owner)
            self._fenced.add(owner)
            fence_owner(self._config, owner)
        self._abort_unmarked(owners | noted)

    def _abort_unmarked(self, owners: AbstractSet[str]) -> None:
        """When every transaction must have ended long ago."""
        now = time.monotonic()
        if self._undecided_since is None:
            self._undecided_since = now
        limit = self._settings.transaction_timeout_seconds + UNDECIDED_SECONDS_MARGIN
        if now - self._undecided_since <= limit:
            return
        for owner in sorted({*owners, *self._fenced, self._config.transactional_id}):
            if abort_hanging_transaction(self._config, owner, self._sources):
                self._undecided_since = now

    def _sections(self, notes: Notes) -> list[ChangelogRange]:
        asked = self._log_parts()
        if not asked:
            return []
        config, uncommitted = self._config, IsolationLevel.READ_UNCOMMITTED
        ends = end_offsets(config, asked, uncommitted)
        starts = list_offsets(config, asked, OffsetSpec.earliest(), uncommitted)
        return [
            self._section(table, number, starts, ends, _notes_of(notes, number))
            for table in self._tables
            for number in self._numbers()
        ]

    def _numbers(self) -> list[int]:
        return sorted({number for _, number in self._sources})

    def _log_parts(self) -> list[LogPart]:
        return [
            (table.changelog_topic_name, number)
            for table in self._tables
            for number in self._numbers()
        ]

    def _section(
        self,
        table: TransactionalTable,
        number: int,
        starts: Mapping[SourcePartition, int],
        ends: Mapping[SourcePartition, int],
        notes: list[OffsetMetadata],
    ) -> ChangelogRange:
        log_part = (table.changelog_topic_name, number)
        start, end = starts[log_part], ends[log_part]
        partition = table.partition_state(number)
        committed_end = max((note.changelogs.get(table.name, 0) for note in notes), default=0)
        known_end = max(committed_end, partition.store.position)
        if end < known_end:
            self._refuse(
                f"{log_part[0]}[{number}] ends at {end}, below the {known_end} of the committed "
                "offsets"
            )
        age = time.monotonic() - partition.synced_at
        position = partition.store.position
        too_old = age > self._settings.delete_retention_seconds / 2
        if position < start or position > end or too_old or self._settings.allow_offset_rewind:
            partition.clear()
        owners = frozenset(note.owner for note in notes)
        return ChangelogRange(log_part[0], number, partition, end, owners)

    def _check_sources(self, offsets: Mapping[SourcePartition, int]) -> None:
        """The changelog says which source offset it reflects; committed offsets must reach it."""
        for table in self._tables:
            for (topic, number), committed in offsets.items():
                reflected = table.partition_state(number).sources.get(topic)
                if reflected is not None and committed < reflected:
                    self._refuse(
                        f"table {table.name}[{number}] reflects {topic} up to {reflected}, but "
                        f"{committed} is committed"
                    )

    def _refuse(self, contradiction: str) -> None:
        if self._settings.allow_offset_rewind:
            log.warning("allow_offset_rewind: %s", contradiction)
            return
        raise LogTruncated(
            f"{contradiction}: the log lost data or was rewound. If that was deliberate, start "
            "once with allow_offset_rewind=True"
        )


def _notes_of(notes: Notes, number: int) -> list[OffsetMetadata]:
    return [note for (_, partition), note in notes.items() if partition == number]


def read_committed_offsets(
    consumer: Any, sources: Sequence[SourcePartition]
) -> tuple[dict[SourcePartition, int], Notes]:
    """(offset, note) of each source. Raises `KafkaException`."""
    asked = [TopicPartition(topic, number) for topic, number in sources]
    offsets: dict[SourcePartition, int] = {}
    notes: Notes = {}
    for found in consumer.committed(asked, timeout=COMMITTED_SECONDS):
        if found.error is not None:
            raise KafkaException(found.error)
        offsets[found.topic, found.partition] = found.offset
        note = OffsetMetadata.decode(found.metadata)
        if note is not None:
            notes[found.topic, found.partition] = note
    return offsets, notes
