"""Transactional tables: Faust tables whose writes commit with the batch that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import faust
from faust.stores.base import Store

from engine.batch import Batch
from engine.state.partition import Decode, DueMs, Encode, TablePartition
from engine.state.store import StoreFactory, memory_store
from engine.transactions.partition_view import PartitionView

READ_ONLY = (
    "A transactional table is read-only here. Agents change it through table.partition(batch)."
)


class TransactionalTable(faust.Table):
    """Committed state of the partitions this worker owns, restored from a compacted changelog
    topic.

    Inside an agent, `table.partition(batch)` is the mutable view of the batch. Outside (timers,
    pages), `get`, `items`, `scan` and `due` read what is committed. Values are kept encoded, so
    that nothing can change them in place. Faust's assignor places the changelog beside the source
    partitions; Faust's recovery is not used.
    """

    def __init__(
        self,
        app: Any,
        *,
        encode: Encode,
        decode: Decode,
        due_ms: DueMs | None,
        expires_ms: DueMs | None = None,
        new_store: StoreFactory = memory_store,
        **options: Any,
    ) -> None:
        self.encode_value = encode
        self.decode_value = decode
        self.due_ms = due_ms
        self.expires_ms = expires_ms
        self._new_partition_store = new_store
        self._states: dict[int, TablePartition] = {}
        self._owned: frozenset[int] = frozenset()
        super().__init__(app, **options)
        self.key_serializer = self.value_serializer = "raw"

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    # -- for agents

    def partition(self, batch: Batch) -> PartitionView:
        """The partition of this batch as a mutable mapping: get, [], []=, del, in, pop."""
        return batch.view(self.partition_state(batch.partition))

    # -- committed view

    @property
    def owned_partitions(self) -> frozenset[int]:
        """Partitions that are restored and owned by this worker now."""
        return self._owned

    def get(self, key: str, default: Any = None) -> Any:
        """Committed value on the owned partitions, or `default`."""
        for number in self._owned:
            value = self._states[number].get(key)
            if value is not None:
                return value
        return default

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return any(self._states[number].store.get(str(key)) is not None for number in self._owned)

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.items())

    def __len__(self) -> int:
        return sum(len(self._states[number].store) for number in self._owned)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Committed entries of all owned partitions; consume them before the next await."""
        for number in sorted(self._owned):
            for key, raw in self._states[number].store.items():
                yield key, self.decode_value(raw)

    def scan(self, partition: int) -> Iterator[tuple[str, Any]]:
        """Committed entries of one owned partition; may be consumed over many awaits.

        The keys are those of the first step, the values those of each step: an entry that was
        deleted meanwhile is skipped. Ends when the worker no longer owns the partition.
        """
        if partition not in self._owned:
            return
        for key in [key for key, _ in self._states[partition].store.items()]:
            if partition not in self._owned:
                return
            value = self._states[partition].get(key)
            if value is not None:
                yield key, value

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        """At most `limit` committed entries due at or before `now_ms`, earliest first.

        The next call returns them again, until a batch changes them.
        """
        found = [
            (due_ms, key, number)
            for number in self._owned
            for due_ms, key in self._states[number].due.due(now_ms, limit)
        ]
        found.sort()
        return [(key, self._states[number].get(key)) for _, key, number in found[:limit]]

    def next_due_ms(self) -> int | None:
        """When the next entry is due; None when there is none."""
        times = [self._states[number].due.next_due_ms() for number in self._owned]
        return min((time for time in times if time is not None), default=None)

    # -- for the engine

    def partition_state(self, number: int) -> TablePartition:
        """State of one partition; created empty at first use."""
        state = self._states.get(number)
        if state is None:
            state = self._states[number] = TablePartition(
                self.name,
                self.changelog_topic_name,
                number,
                self._new_partition_store(self.name, number),
                encode=self.encode_value,
                decode=self.decode_value,
                due_ms=self.due_ms,
                expires_ms=self.expires_ms,
            )
        return state

    def assign(self, partitions: frozenset[int]) -> None:
        """These partitions are restored; the state of all others is discarded."""
        self._owned = partitions
        for number in set(self._states) - partitions:
            del self._states[number]

    def unassign(self) -> None:
        """The assignment ended; state is kept in case the next one gives partitions back."""
        self._owned = frozenset()

    def discard(self, number: int) -> None:
        """A restore of this partition was interrupted: the next one starts from scratch."""
        self._states.pop(number, None)

    # -- Faust's side

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError(READ_ONLY)

    def __delitem__(self, key: str) -> None:
        raise TypeError(READ_ONLY)

    def _new_store(self) -> Any:
        return CommittedView("memory://", self.app, self, table_name=self.name, loop=self.loop)


class CommittedView(Store):
    """Faust's store interface over the committed state, for its web views and router. Read only."""

    table: TransactionalTable

    def persisted_offset(self, tp: Any) -> None:
        """Nothing that Faust's recovery could use."""

    def reset_state(self) -> None:
        """The engine owns the state."""

    def apply_changelog_batch(
        self, batch: Any, to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        raise TypeError("A transactional table is restored by the engine, not by Faust.")

    async def backup_partition(self, *args: Any, **options: Any) -> None:
        """The changelog is the backup."""

    def restore_backup(self, *args: Any, **options: Any) -> None:
        """The changelog is the backup."""

    def __getitem__(self, key: str) -> Any:
        return self.table[key]

    def __contains__(self, key: object) -> bool:
        return key in self.table

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError(READ_ONLY)

    def __delitem__(self, key: str) -> None:
        raise TypeError(READ_ONLY)
