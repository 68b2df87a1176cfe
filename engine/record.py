"""A record as agents and parallel consumers see it."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

import msgspec

NEWER_RECORD_PAUSE_SECONDS = 5.0
"""Between two attempts at a record of a newer release, which waits for an updated worker."""
_headers = methodcaller("headers")


def header_items(message: Any) -> list[tuple[str, bytes | None]]:
    """All headers of a client's message, in order; none at all if a name is not UTF-8.

    confluent_kafka answers such a name with null pointers and a pending exception. A call from
    Python's bytecode may overlook that exception; a call through `operator` checks for it.
    """
    try:
        return _headers(message) or []
    except SystemError:
        message.set_headers([])
        return []


class NoValue(Exception):
    """A tombstone in a topic whose records have values."""


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
        """Headers; of several with one name the last one wins. See `header_items`."""
        return {name: value or b"" for name, value in header_items(self.message)}

    @property
    def timestamp_ms(self) -> int:
        """Epoch milliseconds given by the producer or the broker (topic's setting)."""
        return int(self.message.timestamp()[1])

    @property
    def replay(self) -> tuple[str, int, int] | None:
        """(topic, partition, offset) of the copy if this record is handled again, else None."""
        copy = getattr(self.message, "copy", None)
        return None if copy is None else (copy.topic(), copy.partition(), copy.offset())

    @property
    def raw(self) -> bytes:
        """Value bytes as they are in the topic; b"" for a tombstone."""
        return self.message.value() or b""


def decoded(message: Any, decode: Callable[[bytes], Any]) -> Record:
    """The message's record. Raises what `decode` raises; `NoValue` if it takes no tombstone."""
    value = message.value()
    try:
        return Record(message, decode(value))
    except Exception as exc:
        if value is None:
            raise NoValue("The record has no value, and its topic takes no tombstones.") from exc
        raise
