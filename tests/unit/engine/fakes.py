"""Stand-ins for what the engine's pure parts see of clients."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.state.partition import TablePartition
from engine.state.store import MemoryStore


class FakeMessage:
    """A client's message."""

    def __init__(
        self,
        offset: int,
        value: bytes = b"{}",
        key: bytes | None = b"k",
        topic: str = "in",
        partition: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self._parts = (topic, partition, offset, key, value, headers)

    def topic(self) -> str:
        return self._parts[0]

    def partition(self) -> int:
        return self._parts[1]

    def offset(self) -> int:
        return self._parts[2]

    def key(self) -> bytes | None:
        return self._parts[3]

    def value(self) -> bytes:
        return self._parts[4]

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._parts[5]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000 + self._parts[2]

    def error(self) -> None:
        return None


class FakeTable:
    """What transactions need of a table; JSON values."""

    def __init__(self, name: str = "counts", due_ms: Any = None, expires_ms: Any = None) -> None:
        self.expires_ms = expires_ms
        self.name = name
        self.changelog_topic_name = f"app-{name}-changelog"
        self.encode_value = msgspec.json.encode
        self.decode_value = msgspec.json.decode
        self.due_ms = due_ms
        self._states: dict[int, TablePartition] = {}

    def partition_state(self, number: int) -> TablePartition:
        if number not in self._states:
            self._states[number] = TablePartition(
                MemoryStore(), self.decode_value, self.due_ms, self.expires_ms
            )
        return self._states[number]
