"""Maintains the chains of the partitions that this worker owns, and signs their checkpoints.

Everything is a function of the records. The new owner of a partition finds the last complete
checkpoint in ClickHouse, verifies its signature, reads the later records again from Kafka, and
continues with the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from engine import TopicPartition
from runtime import log
from runtime.clock import now_ms
from runtime.kafka import RecordsGone
from schemas.topics import PAYMENTS_EVENTS, PAYOUTS_EVENTS, RECONCILIATION_EVENTS
from sinks.audit.chain.chain import (
    GENESIS,
    SEGMENT_OFFSETS,
    Chain,
    Checkpoint,
    Leaves,
    Offsets,
    Segment,
    leaves_of,
)
from sinks.audit.chain.keys import PublicKeys, Signer, is_signed
from sinks.audit.chain.log import ChainLogReader
from sinks.audit.chain.rows import CHECKPOINTS, LAST_COMPLETE, row_of
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.inserts import SourceRecord
from sinks.audit.store import LedgerStore

CHAINED = frozenset({PAYMENTS_EVENTS, PAYOUTS_EVENTS, RECONCILIATION_EVENTS})
"""Topics that make ledger entries: each row holds its whole record, to be verified."""
CATCH_UP_OFFSETS_MAX = 1_000_000
"""A chain that is further behind its sink than this restarts; verification reports the gap."""

_LOG = log.get(__name__)


class Leaf(NamedTuple):
    """Records of one partition, in order."""

    source: TopicPartition
    offsets: Offsets
    leaves: Leaves


def by_partition(records: Sequence[SourceRecord], positions: KafkaPositions) -> list[Leaf]:
    """Leaves of a batch, in which the records of a partition are adjacent."""
    partitions, offsets = positions.partition, positions.offset
    leaves = leaves_of([record.raw for record in records])
    cuts = np.flatnonzero(np.diff(partitions)) + 1
    firsts, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(records)]
    return [
        Leaf(TopicPartition(positions.topic, int(partitions[a])), offsets[a:b], leaves[a:b])
        for a, b in zip(firsts, ends, strict=True)
        if b > a
    ]


class CheckpointWriter:
    """Chains by partition. Not thread-safe."""

    def __init__(
        self,
        store: LedgerStore,
        log_reader: ChainLogReader,
        signer: Signer,
        keys: PublicKeys,
        generation: Callable[[], int],
    ) -> None:
        """`generation` changes when partitions were revoked and may have come back."""
        self._store = store
        self._log_reader = log_reader
        self._signer = signer
        self._keys = keys
        self._generation = generation
        self._known_generation = -1
        self._chains: dict[TopicPartition, Chain] = {}
        self._signed_to: dict[TopicPartition, int] = {}

    def write(self, found: Sequence[Leaf]) -> list[Checkpoint]:
        """Checkpoints of the segments that these records complete, stored in ClickHouse.

        Call it after their rows are acknowledged. Raises LedgerUnavailable and TopicUnreadable;
        then the same records must be written again.
        """
        if self._generation() != self._known_generation:
            self._chains.clear()
            self._known_generation = self._generation()
        segments: list[Segment] = []
        try:
            for leaf in found:
                segments += self._add(leaf)
            return self._sign(segments)
        except Exception:
            self._chains.clear()
            raise

    def checkpoint_tails(self) -> list[Checkpoint]:
        """Checkpoints of the records since the last ones. Raises LedgerUnavailable."""
        tails = [
            tail
            for source, chain in self._chains.items()
            if chain.next_offset > self._signed_to.get(source, 0)
            if (tail := chain.tail()) is not None
        ]
        return self._sign(tails)

    def _add(self, leaf: Leaf) -> Iterator[Segment]:
        first = int(leaf.offsets[0])
        chain = self._chains.get(leaf.source)
        if chain is None or first < chain.next_offset:
            chain, missed = self._resume(leaf.source, first)
            self._chains[leaf.source] = chain
            yield from missed
        yield from chain.add(leaf.offsets, leaf.leaves)

    def _sign(self, segments: Sequence[Segment]) -> list[Checkpoint]:
        signed = [
            each._replace(checkpoint=self._signer.signed(each.checkpoint)) for each in segments
        ]
        at_ms = now_ms()
        self._store.insert(CHECKPOINTS, [row_of(each, at_ms) for each in signed])
        for each in signed:
            source = TopicPartition(each.checkpoint.topic, each.checkpoint.partition)
            self._signed_to[source] = each.checkpoint.end_offset
        return [each.checkpoint for each in signed]

    def _resume(self, source: TopicPartition, first: int) -> tuple[Chain, list[Segment]]:
        """The chain up to `first`, and the segments before it that have no checkpoint."""
        known = self._last_complete(source, first)
        start = known.end_offset if known else 0
        if first - start <= CATCH_UP_OFFSETS_MAX:
            try:
                found = self._log_reader.read(source, start, first)
            except RecordsGone as error:
                _LOG.warning("ledger_chain_restarted", reason=str(error), first_offset=first)
            else:
                chain = Chain(source, start, known.value if known else GENESIS)
                return chain, list(chain.add(*found))
        return Chain(source, first), []

    def _last_complete(self, source: TopicPartition, before: int) -> Checkpoint | None:
        """The newest signed checkpoint before the offset's segment."""
        rows = self._store.query(
            LAST_COMPLETE, {**source._asdict(), "before": before // SEGMENT_OFFSETS}
        )
        for row in rows:
            checkpoint = Checkpoint(**row)
            if is_signed(checkpoint, self._keys):
                return checkpoint
            _LOG.error("ledger_checkpoint_not_signed", segment=checkpoint.segment, source=source)
        return None
