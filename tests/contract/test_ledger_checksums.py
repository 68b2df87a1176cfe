"""The rebuild's checksum on a real engine: the same rows, one changed, one gone, one too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from clickhouse_connect.driver.client import Client
from contract.ledger_scenario import NEXT_DAY_MS, a_day_at_the_shop, insert, records_of

from paystream.rebuild.checksums import Bounds, checksum, examples, live_ends
from paystream.rebuild.exchange import fed_tables
from runtime.store_connections import ClickHouseConnection
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, connect, rows_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS, TABLES

pytestmark = pytest.mark.services

LIVE, REBUILT = "sums_live_raw", "sums_rebuilt_raw"


@pytest.fixture
def client(clickhouse_url: str) -> Iterator[Client]:
    """Two databases with the same shop; one in pieces of another size, twice, at another time."""
    with connect(ClickHouseConnection(clickhouse_url), 60) as made:
        names = [DatabaseNames(raw, f"{raw}_views") for raw in (LIVE, REBUILT)]
        for each in names:
            migrate(made, each)
        live, rebuilt = (
            LedgerStore(ClickHouseConnection(clickhouse_url), each, 60) for each in names
        )
        insert(live, a_day_at_the_shop())
        insert(rebuilt, a_day_at_the_shop(), NEXT_DAY_MS + 5)
        events = records_of(a_day_at_the_shop(), NEXT_DAY_MS + 9)[PAYMENTS_EVENTS]
        for start in range(len(events), 0, -5):
            for table in (PAYMENT_EVENTS, LEDGER_ENTRIES):
                rebuilt.insert(table, rows_of(table, events[max(0, start - 5) : start]))
        live.close()
        rebuilt.close()
        yield made
        for each in names:
            made.command(f"DROP DATABASE {each.raw} SYNC")
            made.command(f"DROP DATABASE {each.views} SYNC")


def test_the_same_rows_have_the_same_checksum_however_they_came(client: Client) -> None:
    for table in TABLES:
        live = checksum(client, LIVE, table.name)
        assert live == checksum(client, REBUILT, table.name)
        ends = live_ends(client, LIVE, table.name)
        assert ends == live_ends(client, REBUILT, table.name)
        assert examples(client, LIVE, REBUILT, table.name, ends) == []
        assert (live.digits == "0" * 64) == (live.rows == 0)
    assert checksum(client, LIVE, "ledger_entries").rows > 0


def test_both_parts_of_a_bound_make_the_whole(client: Client) -> None:
    whole = checksum(client, LIVE, "ledger_entries")
    half = {place: end // 2 for place, end in live_ends(client, LIVE, "ledger_entries").items()}
    below = checksum(client, LIVE, "ledger_entries", Bounds(half))
    rest = checksum(client, LIVE, "ledger_entries", Bounds(half, below=False))
    assert 0 < below.rows < whole.rows
    assert below.plus(rest) == whole
    assert checksum(client, LIVE, "ledger_entries", Bounds({})).rows == 0


CHANGES: dict[str, Callable[[str], str]] = {
    "changed": lambda entry: f"UPDATE amount_minor = amount_minor + 1 WHERE entry_id = '{entry}'",
    "gone": lambda entry: f"DELETE WHERE entry_id = '{entry}'",
    "moved to another account": lambda entry: f"UPDATE account = 'x' WHERE entry_id = '{entry}'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_row_that_differs_is_seen_and_its_place_named(
    client: Client, change: Callable[[str], str]
) -> None:
    [(entry, topic, partition, offset)] = client.query(
        f"SELECT entry_id, kafka_topic, kafka_partition, kafka_offset FROM {LIVE}.ledger_entries"
        " WHERE leg = 2 ORDER BY entry_id LIMIT 1"
    ).result_rows
    client.command(f"ALTER TABLE {LIVE}.ledger_entries {change(entry)} SETTINGS mutations_sync = 1")
    assert checksum(client, LIVE, "ledger_entries") != checksum(client, REBUILT, "ledger_entries")
    ends = live_ends(client, LIVE, "ledger_entries")
    found = examples(client, LIVE, REBUILT, "ledger_entries", ends)
    place = f"{topic}[{partition}]@{offset}"
    assert set(found) <= {f"live {place}", f"rebuilt {place}"}
    assert f"rebuilt {place}" in found


def test_a_row_twice_under_another_identity_is_seen(client: Client) -> None:
    client.command(
        f"INSERT INTO {LIVE}.ledger_entries SELECT * REPLACE (leg + 100 AS leg)"
        f" FROM (SELECT * FROM {LIVE}.ledger_entries WHERE leg = 1 LIMIT 1)"
    )
    assert checksum(client, LIVE, "ledger_entries") != checksum(client, REBUILT, "ledger_entries")


def test_tables_that_follow_from_inserts_are_known(client: Client) -> None:
    sources = [table.name for table in TABLES]
    fed = fed_tables(client, LIVE, sources)
    assert {"progress", "funnel_steps", "network_results"} <= set(fed)
    assert not set(fed) & set(sources)
    assert fed_tables(client, LIVE, ["dead_letters"]) == ["progress"]
