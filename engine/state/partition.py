"""One partition of a transactional table: its store, its timers, its position in the logs."""

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
    """Committed state, and everything that a transaction needs to know of its table.

    `number`: of the partition, in the table and in its changelog topic. `due`: when entries need
    attention; `expiry`: when they end. `sources`: source topic -> offset that the state reflects
    (exclusive). `restored_at`: monotonic seconds of the last moment at which the state was known to
    match the changelog.
    """

    __slots__ = (
        "changelog_topic",
        "decode",
        "due",
        "due_ms",
        "encode",
        "expires_ms",
        "expiry",
        "number",
        "restored_at",
        "sources",
        "store",
        "table_name",
    )

    def __init__(
        self,
        table_name: str,
        changelog_topic: str,
        number: int,
        store: PartitionStore,
        *,
        encode: Encode,
        decode: Decode,
        due_ms: DueMs | None = None,
        expires_ms: DueMs | None = None,
    ) -> None:
        self.table_name = table_name
        self.changelog_topic = changelog_topic
        self.number = number
        self.store = store
        self.encode = encode
        self.decode = decode
        self.due_ms = due_ms
        self.expires_ms = expires_ms
        self.due = DueIndex()
        self.expiry = DueIndex()
        self.sources: dict[str, int] = {}
        self.restored_at = time.monotonic()

    def commit(
        self,
        writes: Mapping[str, bytes | None],
        timers: Mapping[str, EntryTimes],
        position: int,
        sources: Mapping[str, int],
    ) -> None:
        """A transaction was committed: its last value per key becomes the state."""
        self.store.apply(writes.items(), position)
        for key, (due_ms, expires_ms) in timers.items():
            self.due.set(key, due_ms)
            self.expiry.set(key, expires_ms)
        self.sources.update(sources)
        self.restored_at = time.monotonic()

    def load(self, records: Iterable[tuple[str, bytes | None]], position: int) -> None:
        """Apply changelog records, in order (restore); `finish_load` rebuilds the timers after."""
        self.store.apply(records, position)

    def finish_load(self) -> None:
        """Rebuild the timers from the restored values."""
        decode = self.decode
        for index, time_of in ((self.due, self.due_ms), (self.expiry, self.expires_ms)):
            if time_of is not None:
                index.fill((key, time_of(decode(raw))) for key, raw in self.store.items())

    def clear(self) -> None:
        """Remove everything: the next restore reads the whole changelog."""
        self.store.clear()
        self.due = DueIndex()
        self.expiry = DueIndex()
        self.sources = {}

    def get(self, key: str) -> Any | None:
        """Decoded committed value, or None."""
        raw = self.store.get(key)
        return None if raw is None else self.decode(raw)
