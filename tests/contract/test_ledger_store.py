"""What an insert leaves behind in the sink's own process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from runtime.store_connections import ClickHouseConnection
from sinks.audit.raw_table import Table
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, LedgerUnavailable, RowsRefused, connect

pytestmark = pytest.mark.services
TEXTS = Table("texts", (("text", "String"),), lambda *_: ())


class Text(str):
    """A value that can be watched."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def store(clickhouse_url: str, clickhouse_database: str) -> Iterator[LedgerStore]:
    with connect(ClickHouseConnection(clickhouse_url), 60) as client:
        client.command(
            f"CREATE TABLE {clickhouse_database}.texts (text String) ENGINE = MergeTree ORDER BY ()"
        )
    made = LedgerStore(
        ClickHouseConnection(clickhouse_url), DatabaseNames(raw=clickhouse_database), 60
    )
    yield made
    made.close()


def test_rows_are_let_go_without_a_collection(store: LedgerStore) -> None:
    """The collector is made rare in a worker: what waits for it adds up to all that was read."""
    text = Text("a payment")
    watched = weakref.ref(text)
    gc.disable()
    try:
        store.insert(TEXTS, [(text,)])
        del text
        assert watched() is None
    finally:
        gc.enable()
    assert store.query("SELECT text FROM {raw}.texts", {}) == [{"text": "a payment"}]


def table_of(store: LedgerStore, url: str, definition: str) -> None:
    with connect(ClickHouseConnection(url), 60) as client:
        client.command(f"CREATE TABLE {store._databases.raw}.{definition}")


def test_one_insert_may_have_rows_of_many_months(store: LedgerStore, clickhouse_url: str) -> None:
    """680 months made ClickHouse refuse the insert for ever: 100 is its default."""
    table_of(
        store,
        clickhouse_url,
        "times (at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY at PARTITION BY toYYYYMM(at)",
    )
    times = Table("times", (("at", "DateTime64(3, 'UTC')"),), lambda *_: ())
    store.insert(times, [(month * 2_629_800_000,) for month in range(680)])
    assert store.query("SELECT count() AS n FROM {raw}.times", {}) == [{"n": 680}]


def test_a_refusal_is_told_from_an_outage(store: LedgerStore, clickhouse_url: str) -> None:
    table_of(
        store,
        clickhouse_url,
        "small (text String, CONSTRAINT short CHECK length(text) < 9)"
        " ENGINE = MergeTree ORDER BY ()",
    )
    small = Table("small", (("text", "String"),), lambda *_: ())
    with pytest.raises(RowsRefused, match="469"):
        store.insert(small, [("short",), ("much too long",)])
    store.insert(small, [("short",)])
    with pytest.raises(LedgerUnavailable):
        store.insert(Table("missing", (("text", "String"),), lambda *_: ()), [("x",)])
    nobody = LedgerStore(ClickHouseConnection("http://127.0.0.1:9"), store._databases, 1)
    with pytest.raises(LedgerUnavailable):
        nobody.insert(small, [("x",)])
