"""Telling ClickHouse how far the sink is behind Kafka, for the view `freshness`."""

import asyncio
import re
from collections.abc import Mapping

from clickhouse_connect.driver.exceptions import ClickHouseError

from engine import EngineApp
from runtime import log
from runtime.clock import now_ms
from sinks.audit.settings import AuditSettings
from sinks.audit.store import StoreUnavailable, connect

LagRow = tuple[str, int, int, int]
_COLUMNS = {
    "kafka_topic": "LowCardinality(String)",
    "kafka_partition": "Int32",
    "behind_records": "Int64",
    "seen_at": "DateTime64(3, 'UTC')",
}
_PLACE = re.compile(r"(.+)\[(\d+)\]")
_TIMEOUT_SECONDS = 10

_LOG = log.get(__name__)


def lag_rows(lag: Mapping[str, int], seen_at_ms: int) -> list[LagRow]:
    """Rows of the raw table `source_lag` from the engine's `topic[partition]` -> records."""
    found = ((_PLACE.fullmatch(place), behind) for place, behind in lag.items())
    return [(match[1], int(match[2]), behind, seen_at_ms) for match, behind in found if match]


def report_lag(app: EngineApp, url: str, settings: AuditSettings) -> None:
    """Give the app a timer that writes the lag of the partitions it owns.

    A row that cannot be written is left out: the view then shows an old one with its age.
    """

    @app.timer(interval=settings.freshness_seconds)
    async def tell() -> None:
        rows = lag_rows(app.stats.get("lag", {}), now_ms())
        if not rows:
            return
        try:
            await asyncio.to_thread(_insert, url, settings.raw_database, rows)
        except (StoreUnavailable, ClickHouseError, OSError) as error:
            _LOG.info("lag_not_told", error=str(error))


def _insert(url: str, database: str, rows: list[LagRow]) -> None:
    with connect(url, _TIMEOUT_SECONDS) as client:
        client.insert(
            "source_lag",
            rows,
            database=database,
            column_names=list(_COLUMNS),
            column_type_names=list(_COLUMNS.values()),
        )
