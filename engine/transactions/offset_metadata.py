"""The metadata of committed offsets, and the headers of changelog records.

Kafka stores the metadata with an offset, in the same transaction: who wrote it, and how far the
changelogs reach. `StateRestorer` uses it to abort a dead owner's open transaction at once, and to
reject a changelog that is shorter than what was committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

FORMAT = "e1"
SOURCE_OFFSET_HEADER = "engine-source-offset:"
"""Prefix of headers of the last changelog record per partition and transaction: source topic ->
next offset.
"""
TRANSACTIONAL_ID_HEADER = "engine-transactional-id"
"""Header of the same record: transactional id. A reader of uncommitted records sees it, so that the
new owner can end a transaction that a dead worker left open, also its very first one.
"""


class OffsetMetadata(msgspec.Struct, frozen=True):
    """`owner`: transactional id. `changelogs`: table -> end position of its partition.

    `time_ms`: largest record time of the source partition so far; 0 when no table needs it.
    """

    owner: str
    changelogs: Mapping[str, int]
    time_ms: int = 0

    def encode(self) -> str:
        """As commit metadata; a few hundred bytes (the broker allows 4 KiB)."""
        ends = (f"{name}={end}" for name, end in self.changelogs.items())
        return "|".join([FORMAT, self.owner, str(self.time_ms), *ends])

    @classmethod
    def decode(cls, text: str | None) -> OffsetMetadata | None:
        """None for metadata that the engine did not write (an operator's offset reset)."""
        if not text or not text.startswith(FORMAT + "|"):
            return None
        _, owner, time_ms, *ends = text.split("|")
        pairs = (end.rsplit("=", 1) for end in ends)
        return cls(owner, {name: int(end) for name, end in pairs}, int(time_ms))


Headers = Sequence[tuple[str, bytes | None]]


def changelog_headers(owner: str, sources: Mapping[str, int]) -> list[tuple[str, bytes]]:
    """Headers of a changelog record: who wrote it, which source offsets the state reflects."""
    return [
        (TRANSACTIONAL_ID_HEADER, owner.encode()),
        *((SOURCE_OFFSET_HEADER + topic, b"%d" % offset) for topic, offset in sources.items()),
    ]


def owner_from_headers(headers: Headers) -> str | None:
    """Transactional id that wrote this record; None without the header."""
    found = (value or b"" for name, value in headers if name == TRANSACTIONAL_ID_HEADER)
    return next((value.decode("utf-8", "replace") for value in found), None)


def sources_from_headers(headers: Headers) -> dict[str, int]:
    """Source offsets in `changelog_headers`; {} when there are none."""
    return {
        name[len(SOURCE_OFFSET_HEADER) :]: int(value)
        for name, value in headers
        if name.startswith(SOURCE_OFFSET_HEADER) and value is not None and value.isdigit()
    }
