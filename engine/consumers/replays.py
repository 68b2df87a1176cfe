"""Records that are handled again by the one app that could not take them.

A dead letter goes back by a topic that all apps read: a copy in the source topic would reach every
other app a second time. The copy says which app it is for, and which record it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.consumers.dead_letters import RawRecord


class Replay(msgspec.Struct, frozen=True):
    """A record for one app: it is handled as if it came from its topic again."""

    app_id: str
    record: RawRecord


DecodeReplay = Callable[[bytes], Replay]
"""Value of a record of the replay topic -> what to handle. Raises for anything else."""


class ReplayedMessage:
    """The record as the client library represents it; its time is that of the replay.

    Topic, partition and offset are those of the record; `copy` stands in the replay topic.
    """

    def __init__(self, record: RawRecord, copy: Any) -> None:
        self._record = record
        self.copy = copy

    def topic(self) -> str:
        """Topic it came from first."""
        return self._record.topic

    def partition(self) -> int:
        """Partition it came from first."""
        return self._record.partition

    def offset(self) -> int:
        """Offset that it had there."""
        return self._record.offset

    def key(self) -> bytes | None:
        """Key bytes."""
        return self._record.key

    def value(self) -> bytes | None:
        """Value bytes; None for a tombstone."""
        return self._record.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Headers, in order."""
        return self._record.headers

    def timestamp(self) -> tuple[int, int]:
        """(type, epoch milliseconds) of the copy."""
        found: tuple[int, int] = self.copy.timestamp()
        return found

    def __len__(self) -> int:
        return len(self._record.value or b"")
