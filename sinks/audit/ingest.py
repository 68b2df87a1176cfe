"""What the audit sink does with one batch: rows of every table, then one insert per table."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from runtime import clock, log, telemetry
from sinks.audit.store import LedgerStore, Sourced, StoreUnavailable, rows_of
from sinks.audit.tables import TABLES, Origin, Table

_LOG = log.get(__name__)


class SourceRecord(Protocol):
    """What is needed of a consumed record."""

    value: Any
    offset: int


class SourceBatch(Protocol):
    """Records of one topic partition, in order."""

    topic: str
    partition: int
    records: Sequence[SourceRecord]


class Ingest:
    """Writes batches through one thread, so that the event loop lives while ClickHouse works.

    A batch that the engine abandoned is still finished by the thread before the next one begins;
    its rows are the same rows, so that is harmless.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clickhouse")

    async def write(self, batch: SourceBatch, tables: Sequence[Table]) -> None:
        """All rows of the batch, acknowledged.

        Raises StoreUnavailable, RowsRefused, UnbalancedTransaction; the last two before any row of
        the table is sent.
        """
        await self._in_thread(self._write, batch, tables)

    async def warm_up(self) -> bool:
        """Connect and look at every table before the first batch; False if that failed."""
        try:
            await self._in_thread(self._store.warm_up, TABLES)
        except StoreUnavailable as error:
            _LOG.warning("ledger_store_not_ready", error=str(error))
            return False
        return True

    def close(self) -> None:
        """Let the insert in hand end, take no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Any, *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _write(self, batch: SourceBatch, tables: Iterable[Table]) -> None:
        records = sourced(batch, clock.now_ms())
        prepared = [(table, rows_of(table, records)) for table in tables]
        for table, rows in prepared:
            with telemetry.histogram("paystream_ledger_insert_seconds").labels(table.name).time():
                self._store.insert(table, rows)
            telemetry.counter("paystream_ledger_rows_total").labels(table.name).inc(len(rows))


def sourced(batch: SourceBatch, ingested_at_ms: int) -> list[Sourced]:
    """The batch's values with their places."""
    return [
        Sourced(record.value, Origin(batch.topic, batch.partition, record.offset, ingested_at_ms))
        for record in batch.records
    ]
