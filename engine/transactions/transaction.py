"""What one Kafka transaction will write, collected batch by batch.

Two levels: a `BatchTransaction` holds what the agent did with one batch, on decoded copies; `seal`
encodes its dirty keys into the `Transaction`. A scope that is dropped leaves no trace, so a failed
batch rolls back alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import AgentUsageError, ClosedBatch, RecordTooLarge
from engine.producer_record import ProducerRecord
from engine.state.partition import EntryTimes

if TYPE_CHECKING:
    from engine.state.table import TransactionalTable

TablePart = tuple["TransactionalTable", int]
SourcePartition = tuple[str, int]
"""(topic, partition)"""
_MISSING = object()
SWEEP_ENTRIES_MAX = 500
"""Expired entries that one batch deletes at most; they are invisible already."""


class Transaction:
    """Sealed outputs, table writes and offsets of one cycle.

    `writes`: last encoded value per dirty key (None deletes). `offsets`: next offset to process.
    `outcomes`: runs of (handled, count) for the fuse. `positions`: changelog position after the
    last write, known once delivered. `times`: largest record time per source, in ms, when a table
    lets entries expire.
    """

    __slots__ = (
        "marks",
        "offsets",
        "outcomes",
        "outputs",
        "positions",
        "record_count",
        "tables",
        "times",
        "writes",
    )

    def __init__(self, tables: Sequence[TransactionalTable] = ()) -> None:
        self.tables = tables
        self.outputs: list[ProducerRecord] = []
        self.writes: dict[TablePart, dict[str, bytes | None]] = {}
        self.marks: dict[TablePart, dict[str, EntryTimes]] = {}
        self.times: dict[SourcePartition, int] = {}
        self.offsets: dict[SourcePartition, int] = {}
        self.outcomes: list[tuple[bool, int]] = []
        self.positions: dict[TablePart, int] = {}
        self.record_count = 0

    def __bool__(self) -> bool:
        return bool(self.offsets)

    def handled(self, offsets: Mapping[SourcePartition, int], count: int, *, good: bool) -> None:
        """`count` records below these next offsets are part of this transaction."""
        self.offsets.update(offsets)
        if count:
            self.record_count += count
            self.outcomes.append((good, count))

    def sources_of(self, partition: int) -> dict[str, int]:
        """Source topic -> next offset, of the partitions with this number."""
        return {
            topic: offset for (topic, number), offset in self.offsets.items() if number == partition
        }

    def apply(self) -> None:
        """The commit succeeded: the written values are the committed state."""
        for (table, number), writes in self.writes.items():
            partition = table.partition_state(number)
            position = self.positions.get((table, number), partition.store.position)
            marks = self.marks.get((table, number), {})
            partition.commit(writes, marks, position, self.sources_of(number))


class BatchTransaction:
    """What the agent did with one batch so far; dropped on failure, sealed on success."""

    __slots__ = (
        "_outputs",
        "_transaction",
        "_views",
        "clock",
        "closed",
        "limits",
        "output_bytes",
        "partition",
    )

    def __init__(
        self,
        transaction: Transaction,
        partition: int | None,
        *,
        record_bytes_max: int,
        output_bytes_max: int,
        time_ms: int = 0,
    ) -> None:
        self.clock = RecordClock(time_ms)
        self._transaction = transaction
        self.partition = partition
        self._views: dict[TransactionalTable, PartitionView] = {}
        self._outputs: list[ProducerRecord] = []
        self.limits = (record_bytes_max, output_bytes_max)
        self.output_bytes = 0
        self.closed = False

    def view(self, table: TransactionalTable) -> PartitionView:
        """The table as this batch sees it; the same object for the whole batch.

        Raises `AgentUsageError` for a batch of a whole cycle: a table has one view per partition.
        """
        self._check_open()
        view = self._views.get(table)
        if view is None:
            view = PartitionView(table, self.one_partition(), self._transaction, self.clock)
            self._views[table] = view
        return view

    def emit(self, output: ProducerRecord) -> None:
        """Add an output. Raises `RecordTooLarge`, `ClosedBatch`."""
        if self.closed:
            self._check_open()
        size = output.size_bytes()
        record_bytes_max, output_bytes_max = self.limits
        if size > record_bytes_max:
            raise RecordTooLarge(
                f"a record of {size} bytes for {output.topic} is above record_bytes_max "
                f"({record_bytes_max}); write less, or raise it together with the topic's "
                "max.message.bytes"
            )
        self.output_bytes += size
        if self.output_bytes > output_bytes_max:
            raise RecordTooLarge(
                f"one batch writes more than output_bytes_max ({output_bytes_max} bytes); "
                "write less per record, or lower batch_records_max"
            )
        self._outputs.append(output)

    def seal(self) -> None:
        """Encode the last value per dirty key; move all into the transaction, or nothing."""
        self._check_open()
        sealed = [(view.part, *view.encoded(self.limits[0])) for view in self._views.values()]
        self.closed = True
        for part, writes, marks in sealed:
            if writes:
                self._transaction.writes.setdefault(part, {}).update(writes)
                self._transaction.marks.setdefault(part, {}).update(marks)
        self._transaction.outputs += self._outputs

    def one_partition(self) -> int:
        """Partition of the batch. Raises `AgentUsageError` for a batch of a whole cycle."""
        if self.partition is None:
            raise AgentUsageError(
                "a batch of a whole cycle has many partitions, so no table and no `partition` of "
                "its own: ask its records, or take `merge_partitions` away from the agent"
            )
        return self.partition

    def drop(self) -> None:
        """Roll back: later use of the batch raises `ClosedBatch`."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedBatch(
                "this batch's transaction has ended; use it only inside the loop body"
            )


class RecordClock:
    """Largest record time of the source partition so far (ms): what expiry goes by.

    Never the wall clock: the same log gives the same state, whenever it is read.
    """

    __slots__ = ("now_ms",)

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def advance(self, record_ms: int) -> None:
        """A record with this time is being handled."""
        self.now_ms = max(self.now_ms, record_ms)


class PartitionView:
    """Mutable mapping over one table partition, visible only inside the batch.

    Values are decoded copies: changing one in place without assigning it back changes nothing.
    An entry that expired before the record in hand, by record time, is not there.
    """

    __slots__ = (
        "_cache",
        "_clock",
        "_committed",
        "_decode",
        "_dirty",
        "_expires",
        "_expiry",
        "_pending",
        "_table",
        "part",
    )

    def __init__(
        self,
        table: TransactionalTable,
        partition: int,
        transaction: Transaction,
        clock: RecordClock,
    ) -> None:
        self.part: TablePart = (table, partition)
        self._table = table
        self._clock = clock
        state = table.partition_state(partition)
        self._committed = state.store.get
        self._decode = table.decode_value
        self._expires = table.expires_ms is not None
        self._expiry = state.expiry
        self._pending: Mapping[str, bytes | None] = transaction.writes.get(self.part, {})
        self._cache: dict[str, Any] = {}
        self._dirty: dict[str, None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Value of the key, or `default`."""
        value = self._cache.get(key, _MISSING)
        if value is _MISSING:
            raw = self._pending[key] if key in self._pending else self._committed(key)
            value = self._cache[key] = None if raw is None else self._decode(raw)
        if value is None or (self._expires and self._is_expired(value)):
            return default
        return value

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __setitem__(self, key: str, value: Any) -> None:
        if value is None:
            raise TypeError("None is no value of a table: use del")
        self._cache[key] = value
        self._dirty[key] = None

    def __delitem__(self, key: str) -> None:
        """Delete the key, present or not."""
        self._cache[key] = None
        self._dirty[key] = None

    def pop(self, key: str, default: Any = None) -> Any:
        """Value of the key, which is deleted."""
        value = self.get(key, default)
        del self[key]
        return value

    def __iter__(self) -> Iterator[str]:
        raise TypeError("a view has no iteration: read committed entries through table.items()")

    def encoded(self, bytes_max: int) -> tuple[dict[str, bytes | None], dict[str, EntryTimes]]:
        """(last value, due and expiry time) per dirty key; expired entries become tombstones.

        Raises `RecordTooLarge`, or what the table's encode raises.
        """
        writes: dict[str, bytes | None] = {}
        marks: dict[str, EntryTimes] = {}
        table, cache = self._table, self._cache
        encode = table.encode_value
        for key in self._dirty:
            value = cache[key]
            raw = writes[key] = None if value is None else encode(value)
            if raw is not None and len(raw) + len(key) > bytes_max:
                raise self._too_large(key, raw, bytes_max)
        if table.due_ms is not None or table.expires_ms is not None:
            marks = {key: self._marks(cache[key]) for key in self._dirty}
        for _, key in self._expiry.due(self._clock.now_ms, SWEEP_ENTRIES_MAX):
            if key not in self._dirty and key not in self._pending:
                writes[key], marks[key] = None, (None, None)
        return writes, marks

    def _too_large(self, key: str, raw: bytes, bytes_max: int) -> RecordTooLarge:
        return RecordTooLarge(
            f"the value of {key!r} in table {self._table.name} has {len(raw)} bytes, above "
            f"record_bytes_max ({bytes_max}); keep less in one entry"
        )

    def _marks(self, value: Any) -> EntryTimes:
        if value is None:
            return None, None
        due_ms, expires_ms = self._table.due_ms, self._table.expires_ms
        return (
            None if due_ms is None else due_ms(value),
            None if expires_ms is None else expires_ms(value),
        )

    def _is_expired(self, value: Any) -> bool:
        expires_ms = self._table.expires_ms
        if expires_ms is None:
            return False
        at_ms = expires_ms(value)
        return at_ms is not None and at_ms <= self._clock.now_ms
