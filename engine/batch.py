"""What an agent gets: records of one topic from one poll cycle, of one partition or of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.producer_record import NO_HEADERS, Key, ProducerRecord
from engine.record import Record
from engine.transactions.transaction import BatchTransaction


class Batch:
    """Records in offset order; outputs and table writes of the batch are one unit of work.

    Of one partition, or of all partitions of the poll (`merge_partitions`): then the records of a
    partition are together, each record knows its own, and there are no tables.
    """

    __slots__ = ("__weakref__", "expires", "records", "scope", "topic")

    def __init__(
        self,
        topic: str,
        records: Sequence[Record],
        scope: BatchTransaction,
        *,
        expires: bool = False,
    ) -> None:
        self.expires = expires
        self.topic = topic
        self.records = records
        self.scope = scope

    @property
    def partition(self) -> int:
        """Number of the partition. Raises `AgentUsageError` for a batch of a whole cycle."""
        return self.scope.one_partition()

    @property
    def partitions(self) -> tuple[int, ...]:
        """Numbers of all partitions in it, ascending."""
        return tuple(sorted({record.partition for record in self.records}))

    def __iter__(self) -> Iterator[Record]:
        """In offset order; the record clock of expiring tables follows."""
        if not self.expires:
            return iter(self.records)
        return self._timed()

    def _timed(self) -> Iterator[Record]:
        clock = self.scope.clock
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
        self.scope.emit(ProducerRecord(topic, key, value, headers or NO_HEADERS, partition))
