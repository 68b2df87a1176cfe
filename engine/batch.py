"""What an agent gets: the records of one topic partition from one poll cycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.outgoing import Key, Outgoing
from engine.record import Record
from engine.transaction import BatchScope


class Batch:
    """Records in offset order; outputs and table writes of the batch are one unit of work."""

    __slots__ = ("__weakref__", "expires", "partition", "records", "scope", "topic")

    def __init__(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        scope: BatchScope,
        *,
        expires: bool = False,
    ) -> None:
        self.expires = expires
        self.topic = topic
        self.partition = partition
        self.records = records
        self.scope = scope

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
        self.scope.emit(Outgoing(topic, key, value, headers or {}, partition))
