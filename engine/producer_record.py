"""Records to be written."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Key = str | bytes | None
NO_HEADERS: Mapping[str, bytes] = {}
"""Shared by all outputs without headers."""


class ProducerRecord(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. `partition` None: murmur2 of the key over the topic's partitions."""

    topic: str
    key: Key
    value: bytes | None
    headers: Mapping[str, bytes] = {}
    partition: int | None = None

    def size_bytes(self) -> int:
        """Key, value and headers."""
        key = self.key.encode() if isinstance(self.key, str) else self.key
        size = len(self.value or b"") + len(key or b"")
        if not self.headers:
            return size
        return size + sum(len(name) + len(text) for name, text in self.headers.items())
