"""Writes one batch to the ledger: rows of every table, in few and large inserts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Protocol

from runtime import clock, log, telemetry
from sinks.audit.chain.chain import Checkpoint
from sinks.audit.chain.checkpoint_writer import CHAINED, CheckpointWriter, Leaf, by_partition
from sinks.audit.inserts import BuildInserts, SourceRecord, TableInsert, positions_of
from sinks.audit.store import LedgerStore, LedgerUnavailable
from sinks.audit.tables import TABLES

CHUNKS_IN_FLIGHT_MAX = 2
"""Chunks whose rows are being inserted while the next one is built."""
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
    """Writes batches in threads of its own, so that the event loop does not wait for ClickHouse.

    One thread builds inserts while the others send the earlier ones, one table of a chunk each: at
    most CHUNKS_IN_FLIGHT_MAX + 1 chunks of `chunk_records_max` records are in memory beside the
    batch. A batch that the engine abandoned is finished before the next one begins; a repeat
    inserts the same rows, so that is safe.
    """

    def __init__(
        self,
        store: LedgerStore,
        chunk_records_max: int,
        checkpoint_writer: CheckpointWriter | None = None,
    ) -> None:
        """`checkpoint_writer` has a store of its own; None: no checkpoints."""
        senders = CHUNKS_IN_FLIGHT_MAX * TABLES_AT_ONCE_MAX
        self._store = store
        self._idle: SimpleQueue[LedgerStore] = SimpleQueue()  # a connection for each sender
        for _ in range(senders):
            self._idle.put(store.new_connection())
        self._checkpoint_writer = checkpoint_writer
        self._chunk_records_max = chunk_records_max
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-inserts")
        self._senders = ThreadPoolExecutor(senders, thread_name_prefix="clickhouse")

    async def write(self, batch: SourceBatch, build_inserts: BuildInserts) -> list[Checkpoint]:
        """All rows of the batch, acknowledged; the checkpoints of the chain that they completed.

        Raises LedgerUnavailable, TopicUnreadable, RowsRefused, UnbalancedTransaction and
        UndecodableRecord; some of the rows may be there then, and inserting them again is right.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._write, batch, build_inserts)

    async def checkpoint_tails(self) -> list[Checkpoint]:
        """Checkpoints of records that no checkpoint covers yet. Raises LedgerUnavailable."""
        if self._checkpoint_writer is None:
            return []
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._checkpoint_writer.checkpoint_tails
        )

    async def check_schema(self) -> bool:
        """Connect and check every table before the first batch; False if that failed."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._store.check_schema, TABLES)
        except LedgerUnavailable as error:
            _LOG.warning("ledger_store_not_ready", error=str(error))
            return False
        return True

    def close(self) -> None:
        """Finish the inserts in flight, accept no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._senders.shutdown(wait=False, cancel_futures=True)

    def _write(self, batch: SourceBatch, build_inserts: BuildInserts) -> list[Checkpoint]:
        checkpoint_writer = self._checkpoint_writer if batch.topic in CHAINED else None
        positions = positions_of(batch.topic, batch.records, clock.now_ms())
        leaves: list[Leaf] = []
        sent: deque[list[Future[None]]] = deque()
        try:
            for chunk in self._chunks(len(batch.records)):
                inserts = build_inserts(
                    batch.records[chunk], positions.select(chunk).inserted_at(clock.now_ms())
                )
                if len(sent) == CHUNKS_IN_FLIGHT_MAX:
                    _wait_all(sent.popleft())
                sent.append([self._senders.submit(self._insert, insert) for insert in inserts])
            if checkpoint_writer is not None:  # while the last chunks are inserted
                leaves = by_partition(batch.records, positions)
        finally:
            _wait_all([insert for chunk in sent for insert in chunk])
        return checkpoint_writer.write(leaves) if checkpoint_writer else []

    def _chunks(self, count: int) -> Iterator[slice]:
        for first in range(0, count, self._chunk_records_max):
            yield slice(first, first + self._chunk_records_max)

    def _insert(self, insert: TableInsert) -> None:
        name, store = insert.table.name, self._idle.get()
        try:
            with telemetry.histogram("paystream_ledger_insert_seconds").labels(name).time():
                store.insert(insert.table, insert.rows)
                store.insert_blocks(insert.table, insert.blocks)
        finally:
            self._idle.put(store)
        telemetry.counter("paystream_ledger_rows_total").labels(name).inc(insert.row_count)


def _wait_all(sent: Sequence[Future[None]]) -> None:
    """Wait until all inserts ended; raises the exception of the first one that failed."""
    wait(sent)
    for insert in sent:
        insert.result()
