"""The audit sink on a real broker and a real engine: nothing missing, nothing twice."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.ledger_scenario import Shop, a_day_at_the_shop
from stream.audit_harness import AuditStack, another_shop

from schemas.topics import PAYMENTS_EVENTS

pytestmark = pytest.mark.services

SMALL_BATCHES = {"PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX": "40"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[AuditStack]:
    made = AuditStack(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def shop() -> Shop:
    """Twenty days at the shop in one."""
    day = a_day_at_the_shop()
    for number in range(20):
        day.payments += another_shop(a_day_at_the_shop(), number).payments
    return day


def test_four_topics_become_the_views_rows(stack: AuditStack, shop: Shop) -> None:
    stack.start_clickhouse()
    stack.produce(shop)
    stack.start_worker(PAYSTREAM_AUDIT_FRESHNESS_SECONDS="0.2")
    stack.wait_committed()
    stack.check(shop)
    behind = "SELECT DISTINCT lag_records, lag_age_seconds < 60 FROM paystream.freshness"
    stack.until(lambda: stack.ask(behind) == [(0, True)])
    assert stack.ask("SELECT count() FROM paystream.webhook_attempts") == [(len(shop.attempts),)]
    assert stack.ask("SELECT count() FROM paystream.payouts") == [(2,)]
    assert stack.ask("SELECT reason_code FROM paystream.dead_letters") == [("undecodable",)]
    assert stack.stop_worker() == 0


def test_kill_9_between_insert_and_commit_and_a_replay_from_the_start(
    stack: AuditStack, shop: Shop
) -> None:
    stack.start_clickhouse()
    stack.produce(shop)
    stack.start_worker(FAIL_POINT="before_commit:3", **SMALL_BATCHES)
    assert stack.wait_killed() == -signal.SIGKILL
    assert stack.committed() < stack.produced
    stack.start_worker(PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="500")
    stack.wait_committed()
    stack.check(shop)
    assert stack.stop_worker() == 0
    stack.rewind()
    assert stack.committed() == 0
    stack.start_worker(PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="90")
    stack.wait_committed()
    stack.check(shop)
    assert stack.check_chain() > len(shop.payments)


def test_clickhouse_gone_for_a_while_loses_nothing(stack: AuditStack, shop: Shop) -> None:
    stack.start_clickhouse()
    stack.start_worker()
    first = a_day_at_the_shop()
    stack.produce(first)
    stack.wait_committed()
    stack.kill_clickhouse()
    before = stack.committed()
    more = another_shop(first, 1)
    stack.produce(more)
    stack.until(lambda: "ledger_insert_retried" in stack.logs())
    assert stack.committed() == before
    stack.start_clickhouse()
    stack.wait_committed()
    first.payments += more.payments
    stack.check(first)
    stack.check_chain()


def test_clickhouse_that_takes_connections_and_never_answers(stack: AuditStack) -> None:
    """Every attempt hangs until its time-out; the watchdog must not take that for a stall."""
    stack.start_clickhouse()
    stack.start_worker(
        PAYSTREAM_AUDIT_INSERT_TIMEOUT_SECONDS="2",
        PAYSTREAM_ENGINE_PROGRESS_STALL_SECONDS="6",
    )
    shop = a_day_at_the_shop()
    stack.produce(shop)
    stack.wait_committed()
    stack.kill_clickhouse()
    more = another_shop(shop, 1)
    with socket.create_server(("127.0.0.1", stack.port), backlog=1000):
        stack.produce(more)
        stack.until(lambda: stack.logs_all().count("ledger_insert_retried") >= 4)
        assert stack.worker is not None
        assert stack.worker.exit_code() is None, stack.logs()
    stack.start_clickhouse()
    stack.wait_committed()
    shop.payments += more.payments
    stack.check(shop)
    stack.check_chain()


def test_a_record_that_cannot_be_read_goes_to_the_dead_letters(
    stack: AuditStack, shop: Shop
) -> None:
    stack.start_clickhouse()
    stack.produce_bytes(PAYMENTS_EVENTS, b"\x00not avro", 3)
    stack.produce(shop)
    stack.start_worker()
    stack.wait_committed()
    stack.until(lambda: len(stack.ask("SELECT 1 FROM paystream.dead_letters")) == 2)
    stack.check(shop)
    stack.check_chain()
    [letter] = stack.ask(
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
