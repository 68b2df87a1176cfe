"""What the audit sink does with one batch: rows of every table, few and large inserts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Protocol

from runtime import clock, log, telemetry
from sinks.audit.chain.chain import Checkpoint
from sinks.audit.chain.checkpoint_writer import CHAINED, Leaf, Sealer, by_partition
from sinks.audit.inserts import BuildInserts, SourceRecord, TableInsert, positions_of
from sinks.audit.store import LedgerStore, StoreUnavailable
from sinks.audit.tables import TABLES

CHUNKS_IN_FLIGHT_MAX = 2
"""Pieces whose rows are on their way to ClickHouse while the next one is prepared."""
TABLES_AT_ONCE_MAX = 2
"""A batch has rows for one table or two: the events, and their ledger entries."""

_LOG = log.get(__name__)


class SourceBatch(Protocol):
    """Records of one topic from one poll; those of a partition in order."""

    @property
    def topic(self) -> str: ...
    @property
    def records(self) -> Sequence[SourceRecord]: ...


class LedgerWriter:
    """Writes batches through threads of its own: the event loop lives while ClickHouse works.

    One prepares records while the others insert those before, a table of a piece each: never more
    than CHUNKS_IN_FLIGHT_MAX + 1 pieces of `piece_records_max` are in memory beside the batch. A
    batch that the engine abandoned is still finished before the next one begins; its rows are the
    same rows, so that is harmless.
    """

    def __init__(
        self,
        store: LedgerStore,
        piece_records_max: int,
        sealer: Sealer | None = None,
    ) -> None:
        """`sealer` has a store of its own; without one nothing is sealed."""
        senders = CHUNKS_IN_FLIGHT_MAX * TABLES_AT_ONCE_MAX
        self._store = store
        self._idle: SimpleQueue[LedgerStore] = SimpleQueue()  # a connection for each sender
        for _ in range(senders):
            self._idle.put(store.another())
        self._sealer = sealer
        self._piece_records_max = piece_records_max
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-prepare")
        self._senders = ThreadPoolExecutor(senders, thread_name_prefix="clickhouse")

    async def write(self, batch: SourceBatch, prepare: BuildInserts) -> list[Checkpoint]:
        """All rows of the batch, acknowledged; the checkpoints of the chain that they completed.

        Raises StoreUnavailable, TopicUnreadable, RowsRefused, UnbalancedTransaction and
        UndecodableRecord; some of the rows may be there then, and inserting them again is right.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._write, batch, prepare)

    async def seal_tails(self) -> list[Checkpoint]:
        """Checkpoints of what is not yet sealed. Raises StoreUnavailable."""
        if self._sealer is None:
            return []
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._sealer.seal_tails
        )

    async def warm_up(self) -> bool:
        """Connect and look at every table before the first batch; False if that failed."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._store.warm_up, TABLES)
        except StoreUnavailable as error:
            _LOG.warning("ledger_store_not_ready", error=str(error))
            return False
        return True

    def close(self) -> None:
        """Let the inserts in hand end, take no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._senders.shutdown(wait=False, cancel_futures=True)

    def _write(self, batch: SourceBatch, prepare: BuildInserts) -> list[Checkpoint]:
        sealer = self._sealer if batch.topic in CHAINED else None
        origins = positions_of(batch.topic, batch.records, clock.now_ms())
        leaves: list[Leaf] = []
        sent: deque[list[Future[None]]] = deque()
        try:
            for piece in self._pieces(len(batch.records)):
                inserts = prepare(batch.records[piece], origins.take(piece).at(clock.now_ms()))
                if len(sent) == CHUNKS_IN_FLIGHT_MAX:
                    _acknowledged(sent.popleft())
                sent.append([self._senders.submit(self._insert, insert) for insert in inserts])
            if sealer is not None:  # while the last pieces are inserted
                leaves = by_partition(batch.records, origins)
        finally:
            _acknowledged([insert for piece in sent for insert in piece])
        return sealer.seal(leaves) if sealer else []

    def _pieces(self, count: int) -> Iterator[slice]:
        for first in range(0, count, self._piece_records_max):
            yield slice(first, first + self._piece_records_max)

    def _insert(self, insert: TableInsert) -> None:
        name, store = insert.table.name, self._idle.get()
        try:
            with telemetry.histogram("paystream_ledger_insert_seconds").labels(name).time():
                store.insert(insert.table, insert.rows)
                store.insert_blocks(insert.table, insert.blocks)
        finally:
            self._idle.put(store)
        telemetry.counter("paystream_ledger_rows_total").labels(name).inc(insert.row_count)


def _acknowledged(sent: Sequence[Future[None]]) -> None:
    """Wait until all of them ended, then raise what the first that failed raised."""
    wait(sent)
    for insert in sent:
        insert.result()
