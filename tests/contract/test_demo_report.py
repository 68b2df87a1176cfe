"""What the demo prints, from real stores with a known day in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from ledger_scenario import a_day_at_the_shop, insert
from rich.console import Console
from simulator_process import Start

from devstack.demo.report import demo_report, print_demo_report
from devstack.traffic.drain import under_way
from devstack.traffic.stats import Tally, result_of
from runtime.clickhouse import connect
from runtime.settings import connections
from runtime.store_connections import ClickHouseConnection
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore

pytestmark = pytest.mark.services
COORDINATOR_SECONDS = 120  # a new broker makes its topic of offsets when first asked
RESULT = result_of(Tally(10), 1.0)


@pytest.fixture
def views(clickhouse_url: str, unique_name: Callable[[str], str]) -> Iterator[str]:
    """Name of a database of views over a day at the shop."""
    databases = DatabaseNames(unique_name("raw"), unique_name("views"))
    client = connect(ClickHouseConnection(clickhouse_url))
    migrate(client, databases)
    store = LedgerStore(ClickHouseConnection(clickhouse_url), databases, 60)
    insert(store, a_day_at_the_shop())
    yield databases.views
    store.close()
    for name in (databases.raw, databases.views):
        client.command(f"DROP DATABASE {name} SYNC")
    client.close()


@pytest.fixture
def env(views: str, clickhouse_url: str, valkey_url: str, start_simulator: Start) -> dict[str, str]:
    """A stack whose network and receiver have seen nothing."""
    urls = {
        f"{name.upper()}_URL": str(start_simulator(name).http.base_url)
        for name in ("network", "receiver")
    }
    return {
        "CLICKHOUSE_URL": clickhouse_url,
        "PAYSTREAM_AUDIT_VIEWS_DATABASE": views,
        "REDIS_URL": valkey_url,
        "API_URL": "http://127.0.0.1:1",
        "CONSOLE_URL": "http://127.0.0.1:2",
        **urls,
    }


def printed(report: dict[str, Any]) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        print_demo_report(report, console)
    return capture.get()


def test_the_report_has_the_facts_of_the_ledger(env: dict[str, str], valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as cache:
        known = sum(1 for _ in cache.scan_iter("payment:*"))
    report = demo_report(env, RESULT)
    assert report == json.loads(json.dumps(report))
    assert report["payments_by_status"]["voided"] == 1
    assert sum(report["payments_by_status"].values()) == 11
    assert report["trial_balance"]["sum_by_currency_minor"] == {"EUR": 0, "JPY": 0, "KWD": 0}
    assert report["charges"]["captured_minor"] == {"EUR": 17_000, "JPY": 3_000, "KWD": 1_384_567}
    assert report["charges"]["ledger_captures"] == 6
    assert report["webhooks"] | {"signatures": 0} == {
        "tried": 2,
        "delivered": 2,
        "attempts": 4,
        "received": 0,
        "signatures": 0,
    }
    made = [(p["mode"], p["currency"], p["status"]) for p in report["payouts"]["made"]]
    assert made == [("test", "EUR", "paid"), ("test", "JPY", "failed")]
    assert {row["mode"] for row in report["payouts"]["due"]} == {"test"}
    assert report["status_reads"] == {"payments": known}


def test_a_ledger_without_charges_at_the_network_is_said_to_differ(env: dict[str, str]) -> None:
    report = demo_report(env, RESULT)
    assert report["charges"]["agree"] is False
    text = printed(report)
    assert "network and ledger differ" in text
    assert "170.00" in text
    assert "1,384.567" in text
    assert "3,000" in text


def test_a_part_that_is_away_leaves_the_others(env: dict[str, str]) -> None:
    report = demo_report(env | {"RECEIVER_URL": "http://127.0.0.1:9", "REDIS_URL": ""}, RESULT)
    assert set(report["webhooks"]) == {"unavailable"}
    assert "REDIS_URL must be set" in report["status_reads"]["unavailable"]
    assert report["payments_by_status"]["voided"] == 1
    assert "webhooks: " in printed(report)


def test_what_is_under_way_is_found_in_the_views(
    env: dict[str, str], views: str, own_broker: str
) -> None:
    at = connections(env | {"KAFKA_BOOTSTRAP_SERVERS": own_broker})
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while (found := under_way(at, views)).trouble and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (found.trouble, dict(found.unread)) == ("", {})
    assert (dict(found.payments), found.refunds) == ({"unknown": 1}, 0)
    assert found.sentence() == "1 payments are unknown"


def test_parts_that_do_not_answer_are_trouble_not_an_end(own_broker: str) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": own_broker, "CLICKHOUSE_URL": "http://127.0.0.1:9"}
    assert under_way(connections(away), "paystream").trouble.startswith("ClickHouse: ")
