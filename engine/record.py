"""A record as agents and parallel consumers see it."""

from __future__ import annotations

from typing import Any

import msgspec


class Record(msgspec.Struct, gc=False, eq=False):
    """One consumed record; `value` is decoded, everything else is read on access."""

    message: Any
    value: Any

    @property
    def topic(self) -> str:
        """Topic it was read from."""
        return self.message.topic()  # type: ignore[no-any-return] # the client carries no types

    @property
    def partition(self) -> int:
        """Partition it was read from."""
        return int(self.message.partition())

    @property
    def offset(self) -> int:
        """Its offset in the partition."""
        return int(self.message.offset())

    @property
    def key(self) -> str | None:
        """Key as text (UTF-8, undecodable bytes replaced)."""
        key = self.message.key()
        return None if key is None else key.decode("utf-8", "replace")

    @property
    def headers(self) -> dict[str, bytes]:
        """Headers; of several with one name the last one wins."""
        return {name: value or b"" for name, value in self.message.headers() or ()}

    @property
    def timestamp_ms(self) -> int:
        """Epoch milliseconds given by the producer or the broker (topic's setting)."""
        return int(self.message.timestamp()[1])

    @property
    def raw(self) -> bytes:
        """Value bytes as they are in the topic; b"" for a tombstone."""
        return self.message.value() or b""
