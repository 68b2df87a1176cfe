"""Which entries of a table partition are due, and when."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


class DueIndex:
    """Keys ordered by due time (epoch ms). A change leaves a stale heap entry that is skipped
    later.
    """

    __slots__ = ("_due_by_key", "_heap")

    def __init__(self) -> None:
        self._due_by_key: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, key: str, due_ms: int | None) -> None:
        """Entry is due at `due_ms`; None: never (also for deleted entries)."""
        if due_ms is None:
            self._due_by_key.pop(key, None)
            return
        if self._due_by_key.get(key) != due_ms:
            self._due_by_key[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))
            if len(self._heap) > 2 * len(self._due_by_key) + 64:
                self._compact()

    def fill(self, entries: Iterable[tuple[str, int | None]]) -> None:
        """Replace the content (restore)."""
        self._due_by_key = {key: due for key, due in entries if due is not None}
        self._compact()

    def due(self, now_ms: int, limit: int) -> list[tuple[int, str]]:
        """At most `limit` (due_ms, key) due at or before now, earliest first; they stay in the
        index.
        """
        taken: list[tuple[int, str]] = []
        while len(taken) < limit and self._heap and self._heap[0][0] <= now_ms:
            entry = heapq.heappop(self._heap)
            if self._due_by_key.get(entry[1]) == entry[0] and (not taken or taken[-1] != entry):
                taken.append(entry)
        for entry in taken:
            heapq.heappush(self._heap, entry)
        return taken

    def next_due_ms(self) -> int | None:
        """Earliest due time, or None when nothing is due ever."""
        while self._heap and self._due_by_key.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _compact(self) -> None:
        self._heap = [(due, key) for key, due in self._due_by_key.items()]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._due_by_key)
