"""The hash chain of a partition: a pure function of its records in Kafka (ADR 0015).

A partition is divided at every multiple of SEGMENT_OFFSETS. A segment's digest covers offset and
leaf of each of its records; its value covers the digest and the value of the segment before.
So neither batch sizes nor repeats can change a value, and two sinks sign the same.

    leaf    first 16 bytes of SHA-256(the record's bytes)
    digest  SHA-256(offsets as 8 bytes little-endian each, then the leaves)
    value   SHA-256(statement of the segment, without its value, key and signature; then digest)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from engine import TopicPartition

FORMAT = "paystream-ledger-chain-1"
SEGMENT_OFFSETS = 4096
LEAF_BYTES = 16
GENESIS = "0" * 64
"""`previous` of the first segment of a chain."""

Offsets = npt.NDArray[np.int64]
Leaves = npt.NDArray[np.uint8]  # n rows of LEAF_BYTES


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement about the records of one segment in [first_offset, end_offset).

    An incomplete segment gets a checkpoint at regular intervals; the chain continues from complete
    segments only.
    """

    topic: str
    partition: int
    segment: int
    first_offset: int
    end_offset: int
    records: int
    previous: str
    value: str
    key_id: str = ""
    signature: str = ""

    @property
    def complete(self) -> bool:
        """Whether no record can be added to the segment."""
        return self.end_offset == (self.segment + 1) * SEGMENT_OFFSETS

    @property
    def statement(self) -> bytes:
        """The signed text: a line per fact."""
        return b"%s%s\n%s\n" % (self.facts, self.value.encode(), self.key_id.encode())

    @property
    def facts(self) -> bytes:
        """The part of the statement that the value covers."""
        numbers = (self.partition, self.segment, self.first_offset, self.end_offset, self.records)
        lines = (FORMAT, self.topic, *map(str, numbers), self.previous)
        return ("\n".join(lines) + "\n").encode()


class Segment(NamedTuple):
    """A checkpoint with the offsets and leaves that it covers."""

    checkpoint: Checkpoint
    offsets: Offsets
    leaves: Leaves

    @property
    def is_valid(self) -> bool:
        """Whether the value follows from these offsets and leaves."""
        return chain_value(self.checkpoint, self.offsets, self.leaves) == self.checkpoint.value


def leaves_of(values: Sequence[bytes]) -> Leaves:
    """A leaf per record."""
    sha256 = hashlib.sha256
    digests = b"".join([sha256(value).digest() for value in values])
    return np.frombuffer(digests, np.uint8).reshape(-1, 32)[:, :LEAF_BYTES]


def chain_value(checkpoint: Checkpoint, offsets: Offsets, leaves: Leaves) -> str:
    """What `value` must be, hexadecimal."""
    digest = hashlib.sha256(offsets.astype("<i8").tobytes())
    digest.update(np.ascontiguousarray(leaves).tobytes())
    return hashlib.sha256(checkpoint.facts + digest.digest()).hexdigest()


class Chain:
    """The chain of one partition, up to the last record that was added."""

    def __init__(self, source: TopicPartition, first_offset: int, previous: str = GENESIS) -> None:
        """`first_offset`: of the first record, or the beginning of a segment."""
        self.source = source
        self.next_offset = first_offset
        self._first_offset = first_offset
        self._previous = previous
        self._offsets: list[Offsets] = []
        self._leaves: list[Leaves] = []

    def add(self, offsets: Offsets, leaves: Leaves) -> Iterator[Segment]:
        """Add records in order; yields each segment that they complete. Offsets may have gaps."""
        at = 0
        while at < offsets.size:
            upto = int(np.searchsorted(offsets, self._segment_end))
            if upto > at:
                self._offsets.append(offsets[at:upto])
                self._leaves.append(leaves[at:upto])
                self.next_offset = int(offsets[upto - 1]) + 1
                at = upto
            if at < offsets.size or self.next_offset == self._segment_end:
                yield self._complete()

    def tail(self) -> Segment | None:
        """The incomplete last segment; None if it is empty."""
        return self._segment(self.next_offset) if self._offsets else None

    @property
    def _segment_end(self) -> int:
        return (self._first_offset // SEGMENT_OFFSETS + 1) * SEGMENT_OFFSETS

    def _complete(self) -> Segment:
        end = self._segment_end
        segment = self._segment(end)
        self._offsets, self._leaves = [], []
        self._previous = segment.checkpoint.value
        self._first_offset = end
        self.next_offset = max(self.next_offset, end)
        return segment

    def _segment(self, end_offset: int) -> Segment:
        offsets = np.concatenate([np.zeros(0, np.int64), *self._offsets])
        leaves = np.concatenate([np.zeros((0, LEAF_BYTES), np.uint8), *self._leaves])
        checkpoint = Checkpoint(
            topic=self.source.topic,
            partition=self.source.partition,
            segment=self._first_offset // SEGMENT_OFFSETS,
            first_offset=self._first_offset,
            end_offset=end_offset,
            records=int(offsets.size),
            previous=self._previous,
            value="",
        )
        value = chain_value(checkpoint, offsets, leaves)
        return Segment(msgspec.structs.replace(checkpoint, value=value), offsets, leaves)
