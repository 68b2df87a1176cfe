"""A record as agents and lanes see it."""

from __future__ import annotations

from typing import Any


class Record:
    """One consumed record; `value` is decoded, everything else is read when asked for."""

    __slots__ = ("message", "offset", "partition", "topic", "value")

    def __init__(self, message: Any, value: Any) -> None:
        self.message = message
        self.value = value
        self.topic: str = message.topic()
        self.partition: int = message.partition()
        self.offset: int = message.offset()

    @property
    def key(self) -> str | None:
        """Key as text (UTF-8, undecodable bytes replaced)."""
        key = self.message.key()
        return None if key is None else key.decode("utf-8", "replace")

    @property
    def headers(self) -> dict[str, bytes]:
        """Headers; of several with one name the last counts."""
        return {name: value or b"" for name, value in self.message.headers() or ()}

    @property
    def timestamp_ms(self) -> int:
        """Epoch milliseconds given by the producer or the broker (topic's setting)."""
        return int(self.message.timestamp()[1])

    @property
    def raw(self) -> bytes:
        """Value bytes as they are in the topic; b"" for a tombstone."""
        return self.message.value() or b""
