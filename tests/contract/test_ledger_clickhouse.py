"""Tables and views on a real ClickHouse engine, through the unmodified client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from contract.ledger_scenario import NEXT_DAY_MS, Shop, a_day_at_the_shop, insert, records_of

from runtime.store_connections import ClickHouseConnection
from schemas.enums import EventType
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.ledger import CHART, ENTRY_COLUMNS_SQL, expected_entries
from sinks.audit.migrations import (
    AppliedMigrationChanged,
    MigrationStatus,
    load_migrations,
    migrate,
    statuses,
)
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, LedgerUnavailable, RowsRefused, connect, rows_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS, TABLES

pytestmark = pytest.mark.services

VIEWS = {
    *("payments", "payment_events", "ledger_entries", "ledger_transactions", "trial_balance"),
    *("merchant_balances", "refunds", "disputes", "payouts", "payout_items", "webhook_attempts"),
    *("dead_letters", "reconciliation_breaks", "funnel_hourly", "network_health", "freshness"),
    "settlements",
    "ledger_checkpoints",
    "payout_events",
    "reconciliation_events",
    "audit_actions",
    "rejections",
}


class Ledger:
    """One migrated pair of databases, with a day at the shop in it."""

    def __init__(self, url: str, databases: DatabaseNames) -> None:
        self.databases = databases
        self.client: Client = connect(ClickHouseConnection(url), 60)
        self.store = LedgerStore(ClickHouseConnection(url), databases, 60)
        self.shop: Shop = a_day_at_the_shop()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a statement in which `v.` stands for the views' database."""
        sql = sql.replace("v.", f"{self.databases.views}.")
        return [tuple(row) for row in self.client.query(sql).result_rows]

    def raw_count(self, table: str) -> int:
        return int(self.client.command(f"SELECT count() FROM {self.databases.raw}.{table}"))

    def drop(self) -> None:
        self.store.close()
        for name in (self.databases.raw, self.databases.views):
            self.client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
        self.client.close()


@pytest.fixture
def empty(clickhouse_url: str, unique_name: Any) -> Iterator[Ledger]:
    """Two names that no database has yet."""
    made = Ledger(clickhouse_url, DatabaseNames(unique_name("raw"), unique_name("views")))
    yield made
    made.drop()


@pytest.fixture
def own(empty: Ledger) -> Ledger:
    """A day at the shop, to be changed."""
    migrate(empty.client, empty.databases)
    insert(empty.store, empty.shop)
    return empty


@pytest.fixture(scope="module")
def ledger(clickhouse_url: str) -> Iterator[Ledger]:
    """A day at the shop, to be read."""
    made = Ledger(clickhouse_url, DatabaseNames("shop_raw", "shop"))
    migrate(made.client, made.databases)
    insert(made.store, made.shop)
    yield made
    made.drop()


# -- migrations


def test_migrations_apply_once(empty: Ledger) -> None:
    names = [each.name for each in load_migrations()]
    assert set(statuses(empty.client, empty.databases).values()) == {MigrationStatus.PENDING}
    assert migrate(empty.client, empty.databases) == names
    assert migrate(empty.client, empty.databases) == []
    assert statuses(empty.client, empty.databases) == dict.fromkeys(names, MigrationStatus.APPLIED)


def test_a_run_that_broke_off_is_run_again(empty: Ledger) -> None:
    first, *rest = load_migrations()
    broken = first._replace(text=first.text + "\nSELECT no_such_column;\n")
    with pytest.raises(Exception, match="no_such_column"):
        migrate(empty.client, empty.databases, [broken, *rest])
    assert len(migrate(empty.client, empty.databases)) == len(rest) + 1


def test_an_applied_file_that_changed_or_went_is_refused(empty: Ledger) -> None:
    migrate(empty.client, empty.databases)
    files = load_migrations()
    changed = [files[0]._replace(checksum="0" * 64), *files[1:]]
    with pytest.raises(AppliedMigrationChanged, match=r"0001.*changed.*new number"):
        migrate(empty.client, empty.databases, changed)
    with pytest.raises(AppliedMigrationChanged, match=rf"{files[-1].name}.*missing"):
        migrate(empty.client, empty.databases, files[:-1])


def test_the_views_have_their_stable_names_and_every_column_a_comment(ledger: Ledger) -> None:
    assert {name for (name,) in ledger.ask(_TABLES.format(ledger.databases.views))} == VIEWS
    for database in (ledger.databases.raw, ledger.databases.views):
        assert ledger.ask(_WITHOUT_COMMENT.format(database)) == []


_TABLES = "SELECT name FROM system.tables WHERE database = '{}'"
_WITHOUT_COMMENT = """
SELECT name, '' FROM system.tables WHERE database = '{0}' AND comment = ''
UNION ALL
SELECT table, name FROM system.columns WHERE database = '{0}' AND comment = ''
"""


def test_every_column_that_is_written_has_its_type_in_the_table(ledger: Ledger) -> None:
    for table in TABLES:
        found = ledger.ask(
            "SELECT name, type FROM system.columns"
            f" WHERE database = '{ledger.databases.raw}' AND table = '{table.name}'"
        )
        assert sorted(found) == sorted(table.columns)


# -- nothing twice, nothing missing


def test_the_ledger_is_what_the_events_say(ledger: Ledger) -> None:
    expected = sorted(expected_entries([*ledger.shop.payments, *ledger.shop.payouts]))
    found = ledger.ask(f"SELECT {ENTRY_COLUMNS_SQL} FROM v.ledger_entries")
    assert sorted(found) == [tuple(row) for row in expected]


def snapshot(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the views show, but for the time of the insert and what follows from it."""
    left_out = "ingested_at, last_ingested_at, delay_seconds, idle_seconds"
    return {
        name: ledger.ask(f"SELECT * EXCEPT ({left_out}) FROM v.{name} ORDER BY ALL")
        for name in sorted(VIEWS)
    }


def test_inserting_everything_again_changes_no_view(own: Ledger) -> None:
    """Batches of other sizes, as after a crash between insert and commit, or from a zombie."""
    before = snapshot(own)
    reconciled = {"reconciliation_events", "reconciliation_breaks", "settlements"}
    empty = {*reconciled, "ledger_checkpoints", "audit_actions", "rejections"}
    assert {name for name in VIEWS if not before[name]} == empty
    for table in TABLES:
        own.client.command(f"SYSTEM STOP MERGES {own.databases.raw}.{table.name}")
    insert(own.store, own.shop, NEXT_DAY_MS + 1)
    events = records_of(own.shop, NEXT_DAY_MS + 2)[PAYMENTS_EVENTS]
    for start in range(0, len(events), 7):
        for table in (PAYMENT_EVENTS, LEDGER_ENTRIES):
            own.store.insert(table, rows_of(table, events[start : start + 7]))
    assert own.raw_count("ledger_entries") > 2 * len(before["ledger_entries"])
    assert snapshot(own) == before


def test_one_statement_makes_one_part_so_that_no_transaction_is_half_visible(
    own: Ledger,
) -> None:
    own.client.command(f"TRUNCATE TABLE {own.databases.raw}.ledger_entries")
    events = records_of(own.shop)[PAYMENTS_EVENTS]
    rows = rows_of(LEDGER_ENTRIES, events) * 800
    assert len(rows) > 40_000
    own.store.insert(LEDGER_ENTRIES, rows)
    parts = own.ask(
        "SELECT count() FROM system.parts WHERE active AND table = 'ledger_entries'"
        f" AND database = '{own.databases.raw}'"
    )
    assert parts == [(1,)]


def test_a_row_that_one_insert_holds_three_times_is_seen_once(own: Ledger) -> None:
    """Nothing is taken out on insert, and a part alone in its partition may never be merged."""
    seen = (
        "SELECT * EXCEPT (ingested_at) FROM v.ledger_entries"
        f" WHERE kafka_topic = '{PAYMENTS_EVENTS}' ORDER BY ALL"
    )
    before = own.ask(seen)
    table = f"{own.databases.raw}.ledger_entries"
    own.client.command(f"TRUNCATE TABLE {table}")
    own.client.command(f"SYSTEM STOP MERGES {table}")
    rows = rows_of(LEDGER_ENTRIES, records_of(own.shop)[PAYMENTS_EVENTS])
    own.store.insert(LEDGER_ENTRIES, rows * 3)
    assert own.raw_count("ledger_entries") == 3 * len(rows)
    assert own.ask(seen) == before
    imbalance = own.ask("SELECT sum(imbalance_minor), sum(entries) FROM v.ledger_transactions")
    assert imbalance == [(0, len(rows))]


# -- what analysts read


def test_trial_balance_is_zero_and_shows_the_charts_classes(ledger: Ledger) -> None:
    sums = ledger.ask(
        "SELECT currency, state, mode, sum(balance_minor), sum(balance_decimal)"
        " FROM v.trial_balance GROUP BY ALL"
    )
    assert {currency for currency, *_ in sums} == {"EUR", "JPY", "KWD"}
    assert all(minor == 0 and decimal == 0 for *_, minor, decimal in sums)
    classes = dict(ledger.ask("SELECT DISTINCT account, class FROM v.trial_balance"))
    assert classes == {account: CHART[account].account_class for account in classes}
    unbalanced = "SELECT * FROM v.ledger_transactions WHERE imbalance_minor != 0"
    assert ledger.ask(unbalanced) == []


def test_decimals_follow_the_currency(ledger: Ledger) -> None:
    found = ledger.ask(
        "SELECT currency, toString(max(requested_decimal)) FROM v.payments GROUP BY 1 ORDER BY 1"
    )
    assert found == [("EUR", "100"), ("JPY", "3000"), ("KWD", "1234.567")]


def test_payments_show_the_state_after_their_last_event(ledger: Ledger) -> None:
    last = {}
    for event in ledger.shop.payments:
        last[event.payment_id] = event
    found = ledger.ask(
        "SELECT payment_id, status, sequence, authorized_minor, captured_minor, refunded_minor,"
        " fees_minor, net_minor, toUnixTimestamp64Milli(updated_at) FROM v.payments"
    )
    assert sorted(found) == sorted(
        (
            e.payment_id,
            e.status,
            e.sequence,
            e.authorized_minor,
            e.captured_minor,
            e.refunded_minor,
            e.fees_minor,
            e.captured_minor - e.refunded_minor - e.fees_minor,
            e.occurred_at_ms,
        )
        for e in last.values()
    )


def test_a_payment_that_was_only_spoken_of_is_not_one(ledger: Ledger) -> None:
    rejected = ledger.ask("SELECT count() FROM v.payment_events WHERE type = 'command.rejected'")
    assert rejected == [(1,)]
    assert ledger.ask("SELECT count() FROM v.payments") == [(11,)]


def test_refunds_and_disputes(ledger: Ledger) -> None:
    assert ledger.ask(
        "SELECT status, amount_minor, finished_at IS NOT NULL FROM v.refunds ORDER BY 1"
    ) == [("failed", 5000, 1), ("succeeded", 3000, 1)]
    assert ledger.ask(
        "SELECT dispute_id, status, amount_minor, closed_at IS NULL FROM v.disputes ORDER BY 1"
    ) == [("dsp_1", "opened", 1_234_567, 1), ("dsp_2", "won", 3000, 0)]


def test_merchant_balances_add_up(ledger: Ledger) -> None:
    """captures - refunds - fees - disputes = owed + paid out; owed = available + in payout."""
    balances = ledger.ask(
        "SELECT merchant_id, captured_minor - refunded_minor - fees_minor - disputed_minor,"
        " owed_minor + paid_out_minor, owed_minor, available_minor + in_payout_minor,"
        " paid_out_minor, on_hold_minor, reserved_minor FROM v.merchant_balances ORDER BY 1"
    )
    assert [(m, hold, reserved) for m, *_, hold, reserved in balances] == [
        ("mer_books", 0, 0),
        ("mer_oil", 500_000, 1_234_567),
        ("mer_tea", 0, 0),
    ]
    for _, earned, given, owed, parts, *_ in balances:
        assert earned == given
        assert owed == parts
    [po_1] = [e for e in ledger.shop.payouts if e.type == "payout.paid"]
    assert [paid for *_, paid, _, _ in balances] == [po_1.amount_minor, 0, 0]


def test_items_of_a_payout_sum_to_it(ledger: Ledger) -> None:
    wrong = ledger.ask(
        "SELECT p.payout_id, p.amount_minor, sum(i.amount_minor) FROM v.payouts AS p"
        " LEFT JOIN v.payout_items AS i ON i.payout_id = p.payout_id"
        " GROUP BY ALL HAVING p.amount_minor != sum(i.amount_minor)"
    )
    assert wrong == []
    kinds = ledger.ask("SELECT transaction_type, count() FROM v.payout_items GROUP BY 1 ORDER BY 1")
    assert kinds == [(EventType.CAPTURED, 3), (EventType.REFUND_SUCCEEDED, 1)]
    ends = ledger.ask("SELECT payout_id, status, bank_reference, reason FROM v.payouts ORDER BY 1")
    assert ends == [("po_1", "paid", "bank_1", ""), ("po_2", "failed", "", "account_closed")]


def test_an_earlier_payout_is_an_item_of_the_next(own: Ledger) -> None:
    own.shop.payouts.clear()
    shop = own.shop
    tea = next(e for e in shop.payments if e.currency == "JPY" and e.type == EventType.CAPTURED)
    shop.payout("po_2", "mer_tea", "JPY", [tea.event_id], "failed")
    failed = shop.payouts[0]
    shop.payout("po_3", "mer_tea", "JPY", [tea.event_id], "paid")
    shop.payouts[2:] = [
        msgspec.structs.replace(event, items=["po_2"] if event.items else [])
        for event in shop.payouts[2:]
    ]
    insert(own.store, shop)
    assert own.ask("SELECT item_id, amount_minor FROM v.payout_items WHERE payout_id = 'po_3'") == [
        ("po_2", failed.amount_minor)
    ]


def test_freshness_names_every_table_with_its_last_offsets(ledger: Ledger) -> None:
    rows = ledger.ask("SELECT table_name, kafka_topic, last_offsets FROM v.freshness ORDER BY 1, 2")
    places = {
        topic: {
            partition: max(r.position.offset for r in records if r.position.partition == partition)
            for partition in {r.position.partition for r in records}
        }
        for topic, records in records_of(ledger.shop).items()
    }
    assert {(name, topic) for name, topic, _ in rows} == {
        ("payment_events", "payments.events"),
        ("ledger_entries", "payments.events"),
        ("ledger_entries", "payouts.events"),
        ("payout_events", "payouts.events"),
        ("webhook_attempts", "webhooks.attempts"),
        ("dead_letters", "payments.dead_letters"),
    }
    found = {topic: offsets for name, topic, offsets in rows if name != "ledger_entries"}
    assert found == places


def test_freshness_shows_what_the_sink_says_about_its_lag(own: Ledger) -> None:
    lag = "SELECT DISTINCT kafka_topic, lag_records FROM v.freshness ORDER BY 1"
    assert {behind for _, behind in own.ask(lag)} == {None}
    say = f"INSERT INTO {own.databases.raw}.source_lag VALUES"
    own.client.command(f"{say} ('payments.events', 0, 900, now64(3) - 20)")
    own.client.command(f"{say} ('payments.events', 0, 7, now64(3) - 10)")
    own.client.command(f"{say} ('payments.events', 1, 5, now64(3) - 500)")
    assert dict(own.ask(lag)) == {
        "payments.events": 12,
        **dict.fromkeys(["payouts.events", "payments.dead_letters", "webhooks.attempts"]),
    }
    [(oldest,)] = own.ask(
        "SELECT DISTINCT lag_age_seconds > 400 FROM v.freshness"
        " WHERE kafka_topic = 'payments.events'"
    )
    assert oldest


def test_rollups_of_what_came_before_them_are_complete(empty: Ledger) -> None:
    """As after an upgrade: the events were there before the migration that rolls them up."""
    files = load_migrations()
    migrate(empty.client, empty.databases, [f for f in files if f.name < "0060"])
    insert(empty.store, empty.shop)
    rollups = ("funnel_hourly", "network_health")
    before = [empty.ask(f"SELECT * FROM v.{view} ORDER BY ALL") for view in rollups]
    migrate(empty.client, empty.databases, files)
    insert(empty.store, empty.shop, NEXT_DAY_MS + 1)
    assert [empty.ask(f"SELECT * FROM v.{view} ORDER BY ALL") for view in rollups] == before


def test_network_health_and_funnel_count_each_payment_once(ledger: Ledger) -> None:
    created = "SELECT sum(created), sum(captured), sum(declined), sum(challenged)"
    assert ledger.ask(f"{created} FROM v.funnel_hourly") == [(11, 6, 2, 1)]
    assert ledger.ask(
        "SELECT operation, sum(approved), sum(declined), sum(failed), sum(unknown)"
        " FROM v.network_health GROUP BY 1 ORDER BY 1"
    ) == [
        ("authorize", 9, 2, 0, 1),
        ("capture", 6, 0, 0, 0),
        ("refund", 1, 0, 1, 0),
        ("void", 1, 0, 0, 0),
    ]


def test_a_dead_letter_keeps_its_bytes(ledger: Ledger) -> None:
    found = ledger.ask(
        "SELECT base64Decode(value_base64) = '\\0garbage', headers FROM v.dead_letters"
    )
    assert found == [(1, {"ce_id": "1"})]


# -- the port


def test_a_value_that_does_not_fit_is_the_rows_fault(ledger: Ledger) -> None:
    [row, *_] = rows_of(LEDGER_ENTRIES, records_of(ledger.shop)[PAYMENTS_EVENTS])
    position = LEDGER_ENTRIES.columns.index(("amount_minor", "Int64"))
    too_large = (*row[:position], 2**63, *row[position + 1 :])
    with pytest.raises(RowsRefused, match="ledger_entries"):
        ledger.store.insert(LEDGER_ENTRIES, [too_large])


def test_a_missing_table_and_a_dead_server_are_reasons_to_wait(empty: Ledger) -> None:
    with pytest.raises(LedgerUnavailable, match="not ready"):
        empty.store.check_schema(TABLES)
    gone = LedgerStore(ClickHouseConnection("http://127.0.0.1:1"), empty.databases, 5)
    with pytest.raises(LedgerUnavailable, match="does not respond"):
        gone.insert(PAYMENT_EVENTS, [(1,)])
