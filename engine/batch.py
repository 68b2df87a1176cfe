"""What an agent gets: records of one topic from one poll, of one partition or of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.producer_record import NO_HEADERS, Key, ProducerRecord
from engine.record import Record
from engine.state.partition import TablePartition
from engine.transactions.partition_view import PartitionView
from engine.transactions.transaction import BatchTransaction


class Batch:
    """Records in offset order; outputs and table writes of the batch are one unit of work.

    It has the records of one partition, or of all partitions of the poll (`merge_partitions`). In
    the second case the records of a partition are together, each record knows its own partition,
    and there are no tables.
    """

    __slots__ = ("__weakref__", "_expires", "_transaction", "records", "topic")

    def __init__(
        self,
        topic: str,
        records: Sequence[Record],
        transaction: BatchTransaction,
        *,
        expires: bool = False,
    ) -> None:
        self.topic = topic
        self.records = records
        self._transaction = transaction
        self._expires = expires

    @property
    def partition(self) -> int:
        """Number of the partition. Raises `AgentUsageError` with `merge_partitions`."""
        return self._transaction.one_partition()

    @property
    def partitions(self) -> tuple[int, ...]:
        """Numbers of all partitions in it, ascending."""
        return tuple(sorted({record.partition for record in self.records}))

    def __iter__(self) -> Iterator[Record]:
        """In offset order; the record clock of expiring tables follows."""
        if not self._expires:
            return iter(self.records)
        return self._timed()

    def _timed(self) -> Iterator[Record]:
        clock = self._transaction.clock
        for record in self.records:
            clock.advance(record.timestamp_ms)
            yield record

    def __len__(self) -> int:
        return len(self.records)

    def emit(
        self,
        topic: str,
        key: Key = None,
        value: bytes | None = None,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> None:
        """Write a record in this batch's transaction; `partition` None: murmur2 of the key.

        Raises `RecordTooLarge`, and `ClosedBatch` after the batch.
        """
        self._transaction.emit(ProducerRecord(topic, key, value, headers or NO_HEADERS, partition))

    def view(self, partition: TablePartition) -> PartitionView:
        """The table partition as this batch sees it. Agents call `table.partition(batch)`."""
        return self._transaction.view(partition)
