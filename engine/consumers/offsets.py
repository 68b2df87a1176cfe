"""How far a partition's offset may be committed when its records finish out of order."""

from __future__ import annotations

from collections import deque


class OffsetTracker:
    """Offsets in order of arrival; commits only below the first one that is not done."""

    __slots__ = ("_done", "_order", "committable")

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._done: set[int] = set()
        self.committable: int | None = None
        """Next offset to process by the next owner; None before anything was done."""

    def add(self, offset: int) -> None:
        """A record was read; offsets must rise."""
        assert not self._order or offset > self._order[-1], "offsets must rise within a partition"
        self._order.append(offset)

    def done(self, offset: int) -> None:
        """Its results are durable."""
        self._done.add(offset)
        while self._order and self._order[0] in self._done:
            first = self._order.popleft()
            self._done.remove(first)
            self.committable = first + 1

    @property
    def open_count(self) -> int:
        """Records read and not yet below the committable offset."""
        return len(self._order)
