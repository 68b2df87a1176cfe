"""One partition of a transactional table: its store, its due times, its place in the logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.state.due_index import DueIndex
from engine.state.store import PartitionStore

Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]
DueMs = Callable[[Any], int | None]
EntryTimes = tuple[int | None, int | None]
"""(due, expires) of an entry, epoch ms."""


class TablePartition:
    """Committed state. `sources`: source topic -> offset that the state reflects (exclusive).

    `due`: when entries want attention; `expiry`: when they are gone.
    """

    __slots__ = (
        "decode",
        "due",
        "due_ms",
        "expires_ms",
        "expiry",
        "sources",
        "store",
        "synced_at",
    )

    def __init__(
        self,
        store: PartitionStore,
        decode: Decode,
        due_ms: DueMs | None,
        expires_ms: DueMs | None = None,
    ) -> None:
        self.store = store
        self.decode = decode
        self.due_ms = due_ms
        self.expires_ms = expires_ms
        self.due = DueIndex()
        self.expiry = DueIndex()
        self.sources: dict[str, int] = {}
        self.synced_at = time.monotonic()

    def commit(
        self,
        writes: Mapping[str, bytes | None],
        marks: Mapping[str, EntryTimes],
        position: int,
        sources: Mapping[str, int],
    ) -> None:
        """A transaction was committed: its last value per key becomes the state."""
        self.store.apply(writes.items(), position)
        for key, (due_ms, expires_ms) in marks.items():
            self.due.set(key, due_ms)
            self.expiry.set(key, expires_ms)
        self.sources.update(sources)
        self.synced_at = time.monotonic()

    def load(self, records: Iterable[tuple[str, bytes | None]], position: int) -> None:
        """Changelog records, in order (restore); `finish_load` makes the due index fit again."""
        self.store.apply(records, position)

    def finish_load(self) -> None:
        """Rebuild the indexes from the restored values."""
        decode = self.decode
        for index, time_of in ((self.due, self.due_ms), (self.expiry, self.expires_ms)):
            if time_of is not None:
                index.fill((key, time_of(decode(raw))) for key, raw in self.store.items())

    def clear(self) -> None:
        """Forget everything: the next restore reads the whole changelog."""
        self.store.clear()
        self.due = DueIndex()
        self.expiry = DueIndex()
        self.sources = {}

    def get(self, key: str) -> Any | None:
        """Decoded committed value, or None."""
        raw = self.store.get(key)
        return None if raw is None else self.decode(raw)
