"""Reports the sink's lag behind Kafka to ClickHouse, for the view `freshness`."""

import asyncio
from collections.abc import Mapping

from engine import EngineApp, TopicPartition
from runtime import log
from runtime.clock import now_ms
from runtime.store_connections import ClickHouseConnection
from sinks.audit.raw_table import Table
from sinks.audit.settings import AuditSettings
from sinks.audit.store import LedgerStore, LedgerUnavailable, RowsRefused

LagRow = tuple[str, int, int, int]
SOURCE_LAG = Table(
    "source_lag",
    (
        ("kafka_topic", "LowCardinality(String)"),
        ("kafka_partition", "Int32"),
        ("lag_records", "Int64"),
        ("seen_at", "DateTime64(3, 'UTC')"),
    ),
    lambda *_: (),
)
"""Written by the timer, not from records of a topic."""
_TIMEOUT_SECONDS = 10

_LOG = log.get(__name__)


def lag_rows(lag: Mapping[TopicPartition, int], seen_at_ms: int) -> list[LagRow]:
    """Rows of the raw table `source_lag`."""
    return [(topic, number, records, seen_at_ms) for (topic, number), records in lag.items()]


def report_lag(app: EngineApp, where: ClickHouseConnection, settings: AuditSettings) -> None:
    """Give the app a timer that writes the lag of the partitions it owns.

    A row that cannot be written is skipped: the view then shows an older one with its age.
    """
    store = LedgerStore(where, settings.databases, _TIMEOUT_SECONDS)

    @app.timer(interval=settings.freshness_seconds)
    async def report() -> None:
        rows = lag_rows(app.lag(), now_ms())
        if not rows:
            return
        try:
            await asyncio.to_thread(store.insert, SOURCE_LAG, rows)
        except (LedgerUnavailable, RowsRefused) as error:
            _LOG.info("lag_not_reported", error=str(error))
