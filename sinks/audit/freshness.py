"""Telling ClickHouse how far the sink is behind Kafka, for the view `freshness`."""

import asyncio
import re
from collections.abc import Mapping

from engine import EngineApp
from runtime import log
from runtime.clock import now_ms
from sinks.audit.settings import AuditSettings
from sinks.audit.store import LedgerStore, RowsRefused, StoreUnavailable
from sinks.audit.tables import Table

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
    store = LedgerStore(url, settings.databases, _TIMEOUT_SECONDS)

    @app.timer(interval=settings.freshness_seconds)
    async def tell() -> None:
        rows = lag_rows(app.stats.get("lag", {}), now_ms())
        if not rows:
            return
        try:
            await asyncio.to_thread(store.insert, SOURCE_LAG, rows)
        except (StoreUnavailable, RowsRefused) as error:
            _LOG.info("lag_not_told", error=str(error))
