"""Committed state of one table partition, as a port.

The engine writes only what a transaction has committed, or what the changelog holds. There is a
store in memory; one on disk, or a standby that follows the changelog, would implement the same
protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol


class PartitionStore(Protocol):
    """Key to encoded bytes, and how far in the changelog they reach.

    `position`: offset after the last changelog record that the content reflects; 0 when empty.
    """

    position: int

    def get(self, key: str) -> bytes | None:
        """Encoded value, or None."""

    def apply(self, writes: Iterable[tuple[str, bytes | None]], position: int) -> None:
        """Store values (None deletes), all of them or none, and the new position."""

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All entries; the store must not change meanwhile."""

    def clear(self) -> None:
        """Remove everything; position 0."""

    def __len__(self) -> int: ...


StoreFactory = Callable[[str, int], PartitionStore]
"""(table, partition) -> its store."""


class MemoryStore:
    """A dict. State is gone with the process and restored from the changelog."""

    __slots__ = ("_values", "get", "position")

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self.get = self._values.get  # the hot path: no Python frame between
        self.position = 0

    def apply(self, writes: Iterable[tuple[str, bytes | None]], position: int) -> None:
        values = self._values
        for key, value in writes:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        self.position = position

    def items(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._values.items())

    def clear(self) -> None:
        self._values.clear()
        self.position = 0

    def __len__(self) -> int:
        return len(self._values)


def memory_store(_table: str, _partition: int) -> PartitionStore:
    """The default `StoreFactory`."""
    return MemoryStore()
