"""What an insert leaves behind in the sink's own process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from runtime.store_connections import ClickHouseConnection
from sinks.audit.raw_table import Table
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, connect

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
