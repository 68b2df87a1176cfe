"""Payouts from events on a real broker to a real (simulated) bank over HTTP."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from polling import eventually
from sink_worker import event, merchant, publish, start_worker, stored, worker

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from paystream.operations.topics import create_all
from runtime.kafka_connection import KafkaConnection
from schemas.records import PayoutEvent, PayoutItem, PayoutRequest
from schemas.topics import (
    MERCHANTS,
    PAYMENTS_EVENTS,
    PAYOUTS_EVENTS,
    PAYOUTS_ITEMS,
    PAYOUTS_REQUESTS,
)

pytestmark = pytest.mark.services
Unique = Callable[[str], str]


class Bank(NamedTuple):
    """The other side."""

    url: str

    def log(self, payout_ids: set[str]) -> list[dict[str, Any]]:
        """Instructions that took effect, of these payouts."""
        with urllib.request.urlopen(f"{self.url}/log", timeout=5) as response:
            lines = [json.loads(line) for line in response.read().splitlines()]
        return [line for line in lines if line["idempotency_key"] in payout_ids]


@pytest.fixture(scope="module")
def broker(kafka_broker: str) -> str:
    create_all(KafkaConnection(kafka_broker))
    return kafka_broker


def bank_launch(directory: Path, port: int) -> Child:
    return Child(
        simulator(
            "bank",
            port,
            directory,
            directory / "bank.out",
            latency_p50_ms=20.0,
            latency_p99_ms=80.0,
            hold_seconds=5.0,
        )
    )


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    port = free_port()
    child = bank_launch(tmp_path_factory.mktemp("bank"), port)
    try:
        child.wait_ready()
        yield Bank(f"http://127.0.0.1:{port}")
    finally:
        child.kill_group()


def environment(bank_url: str) -> dict[str, str]:
    return {
        "BANK_URL": bank_url,
        "PAYSTREAM_PAYOUTS_BANK_TIMEOUT_SECONDS": "1",
        "PAYSTREAM_PAYOUTS_RETRY_SECONDS": "0.3",
        "PAYSTREAM_PAYOUTS_RETRY_SECONDS_MAX": "1",
    }


@pytest.fixture(scope="module")
def payouts(broker: str, bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    directory = tmp_path_factory.mktemp("payouts")
    with worker("payouts", broker, directory, environment(bank.url)) as child:
        yield child


def capture(broker: str, payment: str, merchant_id: str, amount_minor: int, **more: Any) -> None:
    changes = {"type": "payment.captured", "status": "captured", "amount_minor": amount_minor}
    publish(broker, PAYMENTS_EVENTS, payment, event(payment, merchant_id, 2, **(changes | more)))


def close(broker: str, merchant_id: str, request_id: str, mode: str = "live") -> None:
    request = PayoutRequest(
        request_id=request_id,
        merchant_id=merchant_id,
        mode=mode,
        kind="close",
        issued_at_ms=1_700_000_100_000,
        source="api",
    )
    publish(broker, PAYOUTS_REQUESTS, merchant_id, request)


def events_of(broker: str, merchant_id: str) -> list[PayoutEvent]:
    return stored(broker, PAYOUTS_EVENTS, PayoutEvent, lambda e: e.merchant_id == merchant_id)


def types_of(broker: str, merchant_id: str) -> list[str]:
    return [e.type for e in events_of(broker, merchant_id)]


def wait_for_items(broker: str, merchant_id: str, count: int) -> None:
    def there() -> bool:
        found = stored(broker, PAYOUTS_ITEMS, PayoutItem, lambda i: i.merchant_id == merchant_id)
        return len(found) == count

    eventually(there, f"{count} items")


@pytest.mark.usefixtures("payouts")
def test_captures_less_fees_and_refunds_are_paid_once(
    broker: str, bank: Bank, unique_name: Unique
) -> None:
    merchant_id, first, second = unique_name("mer"), unique_name("pay"), unique_name("pay")
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id))
    capture(broker, first, merchant_id, 1000, fee_minor=30)
    capture(broker, second, merchant_id, 500, fee_minor=5)
    refund = event(first, merchant_id, 3, type="refund.succeeded", amount_minor=200)
    publish(broker, PAYMENTS_EVENTS, first, refund)
    wait_for_items(broker, merchant_id, 3)
    close(broker, merchant_id, f"r1_{merchant_id}")
    close(broker, merchant_id, f"r1_{merchant_id}")
    eventually(lambda: len(events_of(broker, merchant_id)) == 2, "created and paid")
    created, paid = events_of(broker, merchant_id)
    assert (created.type, paid.type) == ("payout.created", "payout.paid")
    assert created.amount_minor == paid.amount_minor == 970 + 495 - 200
    assert sorted(created.items) == sorted([f"{first}-2", f"{first}-3", f"{second}-2"])
    [line] = bank.log({created.payout_id})
    assert (line["amount_minor"], line["account"]) == (1265, "DE00ACCEPT1")
    assert paid.bank_reference == line["bank_reference"]


@pytest.mark.usefixtures("payouts")
def test_a_rejected_payout_goes_back_into_the_balance(
    broker: str, bank: Bank, unique_name: Unique
) -> None:
    merchant_id = unique_name("mer")
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id, bank_account="DE00REJECT1"))
    capture(broker, unique_name("pay"), merchant_id, 700)
    wait_for_items(broker, merchant_id, 1)
    close(broker, merchant_id, f"r1_{merchant_id}")
    eventually(lambda: types_of(broker, merchant_id)[-1:] == ["payout.failed"], "failure")
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id, bank_account="DE00ACCEPT2"))
    close(broker, merchant_id, f"r2_{merchant_id}")
    eventually(
        lambda: "payout.paid" in types_of(broker, merchant_id) or _close_again(broker, merchant_id),
        "payment at last",
    )
    created = [e for e in events_of(broker, merchant_id) if e.type == "payout.created"]
    paid = [e for e in events_of(broker, merchant_id) if e.type == "payout.paid"]
    assert [e.amount_minor for e in paid] == [700]
    assert created[-1].items == [created[-2].payout_id]
    accepted = [
        line for line in bank.log({e.payout_id for e in created}) if line["status"] == "accepted"
    ]
    assert [line["amount_minor"] for line in accepted] == [700]


def _close_again(broker: str, merchant_id: str) -> bool:
    """The new bank account may have been read after the close request: ask once more."""
    if types_of(broker, merchant_id)[-1] == "payout.failed":
        close(broker, merchant_id, f"r{len(events_of(broker, merchant_id))}_{merchant_id}")
    return False


@pytest.mark.usefixtures("payouts")
def test_a_lost_answer_of_the_bank_is_asked_for_and_nobody_is_paid_twice(
    broker: str, bank: Bank, unique_name: Unique
) -> None:
    merchant_id = unique_name("mer")
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id, bank_account="DE00LOST1"))
    capture(broker, unique_name("pay"), merchant_id, 800)
    wait_for_items(broker, merchant_id, 1)
    close(broker, merchant_id, f"r1_{merchant_id}")
    eventually(lambda: types_of(broker, merchant_id) == ["payout.created", "payout.paid"], "paid")
    [line] = bank.log({events_of(broker, merchant_id)[0].payout_id})
    assert line["amount_minor"] == 800


@pytest.mark.usefixtures("payouts")
def test_the_daily_schedule_pays_daily_merchants_and_leaves_the_others(
    broker: str, unique_name: Unique
) -> None:
    daily, manual = unique_name("mer"), unique_name("mer")
    publish(broker, MERCHANTS, daily, merchant(daily, payout_schedule="daily"))
    publish(broker, MERCHANTS, manual, merchant(manual, payout_schedule="manual"))
    for merchant_id in (daily, manual):
        capture(broker, unique_name("pay"), merchant_id, 600)
    eventually(lambda: types_of(broker, daily) == ["payout.created", "payout.paid"], "paid")
    requested = stored(broker, PAYOUTS_REQUESTS, PayoutRequest, lambda r: r.merchant_id == manual)
    assert {r.source for r in requested} <= {"deadlines"}
    assert events_of(broker, manual) == []


@pytest.mark.usefixtures("payouts")
def test_test_payments_are_not_paid_out(broker: str, unique_name: Unique) -> None:
    merchant_id = unique_name("mer")
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id))
    capture(broker, unique_name("pay"), merchant_id, 900, mode="test")
    capture(broker, unique_name("pay"), merchant_id, 100)
    wait_for_items(broker, merchant_id, 2)
    close(broker, merchant_id, f"r1_{merchant_id}", "test")
    close(broker, merchant_id, f"r2_{merchant_id}")
    eventually(lambda: "payout.paid" in types_of(broker, merchant_id), "payout")
    assert {(e.mode, e.amount_minor) for e in events_of(broker, merchant_id)} == {("live", 100)}


def test_a_bank_that_is_down_and_a_killed_worker_cost_nothing_but_time(
    broker: str, payouts: Child, unique_name: Unique, tmp_path: Path
) -> None:
    payouts.stop()
    port = free_port()
    bank = Bank(f"http://127.0.0.1:{port}")
    merchants = [unique_name("mer") for _ in range(6)]
    first = start_worker("payouts", broker, tmp_path, environment(bank.url))
    try:
        for merchant_id in merchants:
            publish(broker, MERCHANTS, merchant_id, merchant(merchant_id))
            capture(broker, unique_name("pay"), merchant_id, 400)
            wait_for_items(broker, merchant_id, 1)
            close(broker, merchant_id, f"r1_{merchant_id}")
        eventually(
            lambda: stored(
                broker,
                PAYOUTS_REQUESTS,
                PayoutRequest,
                lambda r: r.merchant_id == merchants[-1] and r.outcome == "unknown",
            ),
            "an attempt without an answer",
        )
        running = bank_launch(tmp_path, port)
        try:
            running.wait_ready()
            first.signal(signal.SIGKILL)
            eventually(lambda: first.exit_code() is not None, "death")
            with worker("payouts", broker, tmp_path, environment(bank.url)) as second:
                for merchant_id in merchants:
                    eventually(
                        lambda m=merchant_id: types_of(broker, m)[-1] == "payout.paid",  # type: ignore[misc] # bound now
                        "paid",
                    )
                assert second.stop(30) == 0
            lines = bank.log({e.payout_id for m in merchants for e in events_of(broker, m)})
            assert [line["amount_minor"] for line in lines] == [400] * 6
        finally:
            running.kill_group()
    finally:
        first.kill_group()
