"""What one Kafka transaction will write, collected batch by batch.

There are two levels. A `BatchTransaction` holds what the agent did with one batch, on decoded
copies. `commit_to` encodes its changed keys into the `Transaction` of the whole poll. A batch that
is discarded leaves no trace, so a failed batch rolls back alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import AgentUsageError, ClosedBatch, RecordTooLarge
from engine.producer_record import ProducerRecord
from engine.state.partition import EntryTimes, TablePartition
from engine.transactions.partition_view import PartitionView, RecordClock
from engine.types import TopicPartition

_NO_WRITES: Mapping[str, bytes | None] = {}


class Transaction:
    """Encoded outputs, table writes and offsets of one poll.

    `writes`: last encoded value per changed key (None deletes). `timers`: their due and expiry
    times. `offsets`: next offset to process. `outcomes`: runs of (handled, count) for the dead
    letter limit. `positions`: changelog position after the last write, known once it is delivered.
    `times`: largest record time per source, in ms. `partitions`: the partitions of all tables, by
    number, that belong to the sources in it.
    """

    __slots__ = (
        "offsets",
        "outcomes",
        "outputs",
        "partitions",
        "positions",
        "record_count",
        "timers",
        "times",
        "writes",
    )

    def __init__(self) -> None:
        self.outputs: list[ProducerRecord] = []
        self.writes: dict[TablePartition, dict[str, bytes | None]] = {}
        self.timers: dict[TablePartition, dict[str, EntryTimes]] = {}
        self.times: dict[TopicPartition, int] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.outcomes: list[tuple[bool, int]] = []
        self.positions: dict[TablePartition, int] = {}
        self.partitions: dict[int, Sequence[TablePartition]] = {}
        self.record_count = 0

    def __bool__(self) -> bool:
        return bool(self.offsets)

    def handled(self, offsets: Mapping[TopicPartition, int], count: int, *, good: bool) -> None:
        """`count` records below these next offsets are part of this transaction."""
        self.offsets.update(offsets)
        if count:
            self.record_count += count
            self.outcomes.append((good, count))

    def sources_of(self, number: int) -> dict[str, int]:
        """Source topic -> next offset, of the partitions with this number."""
        return {
            source.topic: offset
            for source, offset in self.offsets.items()
            if source.partition == number
        }

    def changelog_ends(self, number: int) -> dict[str, int]:
        """Table -> changelog position after this transaction, of the partitions of this number."""
        return {
            partition.table_name: self.positions.get(partition) or partition.store.position
            for partition in self.partitions.get(number, ())
        }

    def apply(self) -> None:
        """The commit succeeded: the written values are the committed state."""
        for partition, writes in self.writes.items():
            position = self.positions.get(partition, partition.store.position)
            timers = self.timers.get(partition, {})
            partition.commit(writes, timers, position, self.sources_of(partition.number))


class BatchTransaction:
    """What the agent did with one batch: discarded on failure, committed to the poll's transaction
    on success.

    `pending`: the writes of earlier batches of the same poll, which this one sees.
    """

    __slots__ = (
        "_outputs",
        "_pending",
        "_views",
        "clock",
        "closed",
        "limits",
        "output_bytes",
        "partition",
    )

    def __init__(
        self,
        partition: int | None,
        *,
        record_bytes_max: int,
        output_bytes_max: int,
        pending: Mapping[TablePartition, Mapping[str, bytes | None]] | None = None,
        time_ms: int = 0,
    ) -> None:
        self.clock = RecordClock(time_ms)
        self.partition = partition
        self.limits = (record_bytes_max, output_bytes_max)
        self.output_bytes = 0
        self.closed = False
        self._pending = {} if pending is None else pending
        self._views: dict[TablePartition, PartitionView] = {}
        self._outputs: list[ProducerRecord] = []

    def view(self, partition: TablePartition) -> PartitionView:
        """The table partition as this batch sees it; the same object for the whole batch."""
        self._check_open()
        view = self._views.get(partition)
        if view is None:
            pending = self._pending.get(partition, _NO_WRITES)
            view = self._views[partition] = PartitionView(partition, pending, self.clock)
        return view

    def emit(self, output: ProducerRecord) -> None:
        """Add an output. Raises `RecordTooLarge`, `ClosedBatch`."""
        if self.closed:
            self._check_open()
        size = output.size_bytes()
        record_bytes_max, output_bytes_max = self.limits
        if size > record_bytes_max:
            raise RecordTooLarge(
                f"A record of {size} bytes for {output.topic} is above record_bytes_max "
                f"({record_bytes_max}). Write less, or raise it together with the topic's "
                "max.message.bytes."
            )
        self.output_bytes += size
        if self.output_bytes > output_bytes_max:
            raise RecordTooLarge(
                f"One batch writes more than output_bytes_max ({output_bytes_max} bytes). "
                "Write less per record, or lower batch_records_max."
            )
        self._outputs.append(output)

    def commit_to(self, transaction: Transaction) -> None:
        """Encode the last value per changed key; move everything into the transaction, or nothing.

        Raises `ClosedBatch`, `RecordTooLarge`, or what a table's `encode` raises.
        """
        self._check_open()
        encoded = [(view.partition, *view.encoded(self.limits[0])) for view in self._views.values()]
        self.closed = True
        for partition, writes, timers in encoded:
            if writes:
                transaction.writes.setdefault(partition, {}).update(writes)
                transaction.timers.setdefault(partition, {}).update(timers)
        transaction.outputs += self._outputs

    def one_partition(self) -> int:
        """Partition of the batch. Raises `AgentUsageError` for a batch of several partitions."""
        if self.partition is None:
            raise AgentUsageError(
                "A batch with merge_partitions has many partitions, so it has no tables and no "
                "`partition`. Read `record.partition`, or remove merge_partitions from the agent."
            )
        return self.partition

    def discard(self) -> None:
        """Roll back: later use of the batch raises `ClosedBatch`."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedBatch(
                "This batch's transaction has ended. Use a batch only inside the loop body."
            )
