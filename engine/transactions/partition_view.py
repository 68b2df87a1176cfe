"""A table partition as one batch sees it: committed entries, and its own changes over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import RecordTooLarge
from engine.state.partition import EntryTimes, TablePartition

EXPIRED_ENTRIES_MAX = 500
"""Expired entries that one batch deletes at most. They are invisible already."""
_MISSING = object()


class RecordClock:
    """Largest record time of the source partition so far, in epoch milliseconds.

    Entries expire by this clock and never by the wall clock: the same log gives the same state,
    whenever it is read.
    """

    __slots__ = ("now_ms",)

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def advance(self, record_ms: int) -> None:
        """A record with this time is being handled."""
        self.now_ms = max(self.now_ms, record_ms)


class PartitionView:
    """Mutable mapping over one table partition; it belongs to one batch.

    Values are decoded copies: a change in place counts only if the value is assigned again.
    An entry that expired before the current record, by record time, is not visible.
    """

    __slots__ = (
        "_cache",
        "_clock",
        "_committed",
        "_decode",
        "_dirty",
        "_expires",
        "_pending",
        "partition",
    )

    def __init__(
        self,
        partition: TablePartition,
        pending: Mapping[str, bytes | None],
        clock: RecordClock,
    ) -> None:
        self.partition = partition
        self._pending = pending
        self._clock = clock
        self._committed = partition.store.get
        self._decode = partition.decode
        self._expires = partition.expires_ms is not None
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
            raise TypeError("A table holds no None. Delete the key with del.")
        self._cache[key] = value
        self._dirty[key] = None

    def __delitem__(self, key: str) -> None:
        """Delete the key, present or not."""
        self._cache[key] = None
        self._dirty[key] = None

    def pop(self, key: str, default: Any = None) -> Any:
        """Delete the key; returns its value, or `default`."""
        value = self.get(key, default)
        del self[key]
        return value

    def __iter__(self) -> Iterator[str]:
        raise TypeError("A view cannot be iterated. Read committed entries with table.items().")

    def encoded(self, bytes_max: int) -> tuple[dict[str, bytes | None], dict[str, EntryTimes]]:
        """(last value, due and expiry time) per changed key; expired entries become tombstones.

        Raises `RecordTooLarge`, or what the table's `encode` raises.
        """
        writes: dict[str, bytes | None] = {}
        timers: dict[str, EntryTimes] = {}
        partition, cache = self.partition, self._cache
        encode = partition.encode
        for key in self._dirty:
            value = cache[key]
            raw = writes[key] = None if value is None else encode(value)
            if raw is not None and len(raw) + len(key) > bytes_max:
                raise self._too_large(key, raw, bytes_max)
        if partition.due_ms is not None or partition.expires_ms is not None:
            timers = {key: self._times_of(cache[key]) for key in self._dirty}
        for _, key in partition.expiry.due(self._clock.now_ms, EXPIRED_ENTRIES_MAX):
            if key not in self._dirty and key not in self._pending:
                writes[key], timers[key] = None, (None, None)
        return writes, timers

    def _too_large(self, key: str, raw: bytes, bytes_max: int) -> RecordTooLarge:
        return RecordTooLarge(
            f"The value of {key!r} in table {self.partition.table_name} has {len(raw)} bytes, "
            f"above record_bytes_max ({bytes_max}). Keep less in one entry."
        )

    def _times_of(self, value: Any) -> EntryTimes:
        if value is None:
            return None, None
        due_ms, expires_ms = self.partition.due_ms, self.partition.expires_ms
        return (
            None if due_ms is None else due_ms(value),
            None if expires_ms is None else expires_ms(value),
        )

    def _is_expired(self, value: Any) -> bool:
        expires_ms = self.partition.expires_ms
        if expires_ms is None:
            return False
        at_ms = expires_ms(value)
        return at_ms is not None and at_ms <= self._clock.now_ms
