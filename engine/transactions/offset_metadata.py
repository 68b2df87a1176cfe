"""Committed offsets, and the note that travels with each of them.

The note (offset commit metadata) is written in the same transaction as the offset: who wrote it,
and how far the changelogs reach. StateRestorer uses it to abort a dead owner's open transaction
at once, and to refuse a changelog that is shorter than what was committed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

FORMAT = "e1"
SOURCE_HEADER = "engine-source:"
"""Header of the last changelog record per partition and transaction: source topic -> next offset.
"""
OWNER_HEADER = "engine-transactional-id"
"""Header of the same record: transactional id. A reader of uncommitted records sees it, so that an
heir can end a transaction that a dead worker left open, also its very first one.
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


def changelog_headers(owner: str, sources: Mapping[str, int]) -> list[tuple[str, bytes]]:
    """Headers of a changelog record: whose it is, which source offsets the state reflects."""
    reflected = [(SOURCE_HEADER + topic, b"%d" % offset) for topic, offset in sources.items()]
    return [(OWNER_HEADER, owner.encode()), *reflected]


def owner_from_headers(headers: list[tuple[str, bytes]] | None) -> str | None:
    """Whose transaction wrote this record; None when it does not say."""
    return next((value.decode() for name, value in headers or () if name == OWNER_HEADER), None)


def sources_from_headers(headers: list[tuple[str, bytes]] | None) -> dict[str, int]:
    """Source offsets in `changelog_headers`; {} when there are none."""
    return {
        name[len(SOURCE_HEADER) :]: int(value)
        for name, value in headers or ()
        if name.startswith(SOURCE_HEADER)
    }
