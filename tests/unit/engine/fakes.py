"""Stand-ins for what the engine's pure parts see of clients."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.state.partition import TablePartition
from engine.state.store import MemoryStore
from engine.testing import SourceMessage


class FakeMessage(SourceMessage):
    """A message whose time follows its offset."""

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000 + self.offset()


class FakeTable:
    """What a poll needs of a table; JSON values."""

    def __init__(self, name: str = "counts", due_ms: Any = None, expires_ms: Any = None) -> None:
        self.name = name
        self.due_ms = due_ms
        self.expires_ms = expires_ms
        self.encode = msgspec.json.encode
        self._partitions: dict[int, TablePartition] = {}

    def partition_state(self, number: int) -> TablePartition:
        if number not in self._partitions:
            self._partitions[number] = TablePartition(
                self.name,
                f"app-{self.name}-changelog",
                number,
                MemoryStore(),
                encode=self.encode,
                decode=msgspec.json.decode,
                due_ms=self.due_ms,
                expires_ms=self.expires_ms,
            )
        return self._partitions[number]
