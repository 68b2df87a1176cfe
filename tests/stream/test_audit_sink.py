"""The audit sink on a real broker and a real engine: nothing missing, nothing twice."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.ledger_scenario import Shop, a_day_at_the_shop
from stream.audit_harness import AuditHouse, another_shop

from schemas.topics import PAYMENTS_EVENTS

pytestmark = pytest.mark.services

SMALL_BATCHES = {"PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX": "40"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AuditHouse]:
    made = AuditHouse(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def shop() -> Shop:
    """Twenty days at the shop in one."""
    day = a_day_at_the_shop()
    for number in range(20):
        day.payments += another_shop(a_day_at_the_shop(), number).payments
    return day


def test_four_topics_become_the_views_rows(house: AuditHouse, shop: Shop) -> None:
    house.start_clickhouse()
    house.produce(shop)
    house.start_worker(PAYSTREAM_AUDIT_FRESHNESS_SECONDS="0.2")
    house.wait_committed()
    house.check(shop)
    behind = "SELECT DISTINCT lag_records, lag_age_seconds < 60 FROM paystream.freshness"
    house.until(lambda: house.ask(behind) == [(0, True)])
    assert house.ask("SELECT count() FROM paystream.webhook_attempts") == [(len(shop.attempts),)]
    assert house.ask("SELECT count() FROM paystream.payouts") == [(2,)]
    assert house.ask("SELECT reason_code FROM paystream.dead_letters") == [("undecodable",)]
    assert house.stop_worker() == 0


def test_kill_9_between_insert_and_commit_and_a_replay_from_the_start(
    house: AuditHouse, shop: Shop
) -> None:
    house.start_clickhouse()
    house.produce(shop)
    house.start_worker(FAIL_POINT="before_commit:3", **SMALL_BATCHES)
    assert house.wait_killed() == -signal.SIGKILL
    assert house.committed() < house.produced
    house.start_worker(PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="500")
    house.wait_committed()
    house.check(shop)
    assert house.stop_worker() == 0
    house.rewind()
    assert house.committed() == 0
    house.start_worker(PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="90")
    house.wait_committed()
    house.check(shop)
    assert house.check_chain() > len(shop.payments)


def test_clickhouse_gone_for_a_while_loses_nothing(house: AuditHouse, shop: Shop) -> None:
    house.start_clickhouse()
    house.start_worker()
    first = a_day_at_the_shop()
    house.produce(first)
    house.wait_committed()
    house.kill_clickhouse()
    before = house.committed()
    more = another_shop(first, 1)
    house.produce(more)
    house.until(lambda: "ledger_insert_retried" in house.logs())
    assert house.committed() == before
    house.start_clickhouse()
    house.wait_committed()
    first.payments += more.payments
    house.check(first)
    house.check_chain()


def test_clickhouse_that_takes_connections_and_never_answers(house: AuditHouse) -> None:
    """Every attempt hangs until its time-out; the watchdog must not take that for a stall."""
    house.start_clickhouse()
    house.start_worker(
        PAYSTREAM_AUDIT_INSERT_TIMEOUT_SECONDS="2",
        PAYSTREAM_ENGINE_PROGRESS_STALL_SECONDS="6",
    )
    shop = a_day_at_the_shop()
    house.produce(shop)
    house.wait_committed()
    house.kill_clickhouse()
    more = another_shop(shop, 1)
    with socket.create_server(("127.0.0.1", house.port), backlog=1000):
        house.produce(more)
        house.until(lambda: house.logs_all().count("ledger_insert_retried") >= 4)
        assert house.worker is not None
        assert house.worker.exit_code() is None, house.logs()
    house.start_clickhouse()
    house.wait_committed()
    shop.payments += more.payments
    house.check(shop)
    house.check_chain()


def test_a_record_that_cannot_be_read_goes_to_the_dead_letters(
    house: AuditHouse, shop: Shop
) -> None:
    house.start_clickhouse()
    house.produce_bytes(PAYMENTS_EVENTS, b"\x00not avro", 3)
    house.produce(shop)
    house.start_worker()
    house.wait_committed()
    house.until(lambda: len(house.ask("SELECT 1 FROM paystream.dead_letters")) == 2)
    house.check(shop)
    house.check_chain()
    [letter] = house.ask(
        "SELECT source_topic, source_partition, source_offset, source_key, source_app, headers,"
        " base64Decode(value_base64) = '\\0not avro'"
        " FROM paystream.dead_letters WHERE source_app = 'sinks-audit'"
    )
    assert letter == (
        PAYMENTS_EVENTS,
        3,
        0,
        "pay_bad",
        "sinks-audit",
        {"ce_id": "pay_bad-1"},
        1,
    )
