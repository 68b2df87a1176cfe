"""Reports, statements and events become postings and breaks: real broker, simulators, ClickHouse.

The worker is killed in the middle, and reads every report again when it comes back.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from polling import eventually
from sink_worker import event, publish, start_worker, stored
from stream.audit_harness import AuditStack

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from devstack.traffic.card_encryption import CardEncryption
from paystream.operations import breaks
from runtime.clock import now_ms
from runtime.kafka_connection import KafkaConnection
from schemas.enums import BreakState
from schemas.records import PaymentCommand, ReconciliationEvent, SettlementLine
from schemas.topics import (
    NETWORK_SETTLEMENTS,
    PAYMENTS_EVENTS,
    PAYMENTS_SETTLEMENTS,
    RECONCILIATION_EVENTS,
)

pytestmark = pytest.mark.services
FATES = ("missing", "extra", "amount", "currency", "duplicate", "late")
PAYMENTS = [f"pay_{number}" for number in range(9)]
KILLED_AFTER_EVENTS = 3
MINUTES_MS = 120_000
DAY_MS = 86_400_000


class Stack:
    """Broker, ClickHouse, network, bank; the workers come and go."""

    def __init__(self, directory: Path) -> None:
        self.audit = AuditStack(directory)
        self.directory = directory
        self.bootstrap = self.audit.bootstrap
        self.children: list[Child] = []
        self.network = self._simulator("network", {})
        self.bank = self._simulator("bank", {"NETWORK_URL": self.network})
        self.http = httpx2.Client(base_url=self.network, timeout=20)
        self.worker: Child | None = None

    def _simulator(self, name: Any, environment: dict[str, str]) -> str:
        port = free_port()
        launch = simulator(
            name,
            port,
            self.directory / name,
            self.directory / f"{name}.out",
            latency_p50_ms=1.0,
            latency_p99_ms=2.0,
            faults=0.0,
        )
        child = Child(dataclasses.replace(launch, environment=environment))
        self.children.append(child)
        child.wait_ready()
        return f"http://127.0.0.1:{port}"

    def start_worker(self) -> Child:
        self.worker = start_worker(
            "reconciliation",
            self.bootstrap,
            self.directory,
            {
                "NETWORK_URL": self.network,
                "BANK_URL": self.bank,
                "PAYSTREAM_RECONCILIATION_POLL_SECONDS": "0.3",
                "PAYSTREAM_RECONCILIATION_OVERDUE_CHECK_INTERVAL_SECONDS": "0.3",
                "PAYSTREAM_RECONCILIATION_REPORT_DUE_SECONDS": "60",
                "PAYSTREAM_RECONCILIATION_LEDGER_ENTRY_DUE_SECONDS": "1",
                "PAYSTREAM_RECONCILIATION_PAGE_LINES": "3",
            },
        )
        return self.worker

    def charge(self, payment_id: str, at_ms: int) -> None:
        """Authorized and captured at the network; and our events say so."""
        card = CardEncryption(self.http.get("/.well-known/jwks.json").json()).card("approve")
        reference = self._operate(payment_id, "authorize", card=card)["network_reference"]
        self._operate(payment_id, "capture", network_reference=reference)
        captured = event(
            payment_id,
            "mer_1",
            1,
            type="payment.captured",
            status="captured",
            occurred_at_ms=at_ms,
            captured_minor=1000,
            operation="capture",
            operation_id=f"{payment_id}:capture:1",
        )
        publish(self.bootstrap, PAYMENTS_EVENTS, payment_id, captured)

    def _operate(self, payment_id: str, operation: str, **more: str) -> dict[str, Any]:
        body = {
            "idempotency_key": f"{payment_id}:{operation}:1",
            "operation": operation,
            "amount_minor": 1000,
            "currency": "EUR",
        }
        answer = self.http.post("/v1/operations", json=body | more).raise_for_status()
        return dict(answer.json())

    def close(self, **body: Any) -> None:
        self.http.post("/v1/settlements/close", json=body).raise_for_status()

    def events(self) -> list[ReconciliationEvent]:
        return stored(self.bootstrap, RECONCILIATION_EVENTS, ReconciliationEvent, lambda e: True)

    def open_breaks(self) -> Counter[tuple[str, str]]:
        """(operation or report, kind) of what is open."""
        return Counter(
            (e.operation_id or e.report_id or "", e.break_kind or "")
            for e in breaks.breaks(KafkaConnection(self.bootstrap))
        )

    def injected(self) -> Counter[tuple[str, str]]:
        found = self.http.get("/v1/settlements/differences").json()["differences"]
        return Counter((d.get("operation_id") or d["report_id"], d["kind"]) for d in found)

    def settled(self) -> set[str]:
        """Payments that have a settle command."""
        return {
            command.payment_id
            for command in stored(
                self.bootstrap, PAYMENTS_SETTLEMENTS, PaymentCommand, lambda c: c.kind == "settle"
            )
        }

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.audit.ask(sql)

    def stop(self) -> None:
        for child in (self.worker, *self.children):
            if child is not None:
                child.kill_group()
        self.audit.stop()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_each_planted_difference_is_found_and_named_also_over_kill_9(stack: Stack) -> None:
    now = now_ms()
    for number, payment_id in enumerate(PAYMENTS):
        stack.charge(payment_id, now - MINUTES_MS if number == 0 else now)
    stack.close(differences=dict.fromkeys(FATES, 1))
    _killed_in_the_middle(stack)
    stack.start_worker()
    stack.close(published_at_ms=now + 5 * DAY_MS)
    stack.charge("pay_more", now_ms())
    stack.close(differences={"deposit_amount": 1})
    assert len(stack.injected()) == len(FATES) + 1
    eventually(lambda: stack.open_breaks() == stack.injected(), "all differences, no other")
    right = {"pay_1", *PAYMENTS[4:]}
    eventually(lambda: stack.settled() == right, "payments that are paid in full")

    _people_decide(stack)
    right |= {"pay_2", "pay_3", "pay_more"}
    eventually(lambda: stack.settled() == right, "what people have accepted")
    _read_again_changes_nothing(stack)
    _analysts_see_it(stack)


def _killed_in_the_middle(stack: Stack) -> None:
    child = stack.start_worker()
    eventually(lambda: len(stack.events()) >= KILLED_AFTER_EVENTS, "first events")
    child.signal(signal.SIGKILL)
    eventually(lambda: child.exit_code() is not None, "death")
    child.kill_group()


def _people_decide(stack: Stack) -> None:
    """Amounts are written off, everything else is explained; nothing is decided twice."""
    for found in breaks.breaks(KafkaConnection(stack.bootstrap)):
        kind, break_id = found.break_kind, found.break_id or ""
        state = BreakState.WRITTEN_OFF if kind == "amount" else BreakState.RESOLVED
        moved = breaks.move(KafkaConnection(stack.bootstrap), break_id, state, "ada", "looked into")
        assert (moved.break_state, moved.actor, moved.reason) == (state, "ada", "looked into")
    with pytest.raises(breaks.BreakTransitionFailed, match="cannot become"):
        breaks.move(
            KafkaConnection(stack.bootstrap), break_id, BreakState.ACKNOWLEDGED, "bob", "too late"
        )
    assert breaks.breaks(KafkaConnection(stack.bootstrap)) == []


def _read_again_changes_nothing(stack: Stack) -> None:
    assert stack.worker is not None
    assert stack.worker.stop(30) == 0
    events, lines = len(stack.events()), _lines(stack)
    stack.start_worker()
    eventually(lambda: _lines(stack) >= lines + len(PAYMENTS), "every report read again")
    time.sleep(1.0)
    assert len(stack.events()) == events


def _lines(stack: Stack) -> int:
    return len(stored(stack.bootstrap, NETWORK_SETTLEMENTS, SettlementLine, lambda line: True))


def _analysts_see_it(stack: Stack) -> None:
    stack.audit.start_clickhouse()
    stack.audit.start_worker()
    count = len(stack.events())
    eventually(
        lambda: (
            stack.ask("SELECT count() FROM paystream_raw.reconciliation_events FINAL") == [(count,)]
        ),
        "events in ClickHouse",
    )
    eventually(
        lambda: stack.ask("SELECT uniqExact(payment_id) FROM paystream.payment_events")[0][0] == 10,
        "payments in ClickHouse",
    )
    kinds = stack.ask(
        "SELECT kind, state, level, actor FROM paystream.reconciliation_breaks ORDER BY ALL"
    )
    assert kinds == [
        ("amount", "written_off", "operation", "ada"),
        ("amount", "written_off", "report", "ada"),
        ("currency", "resolved", "operation", "ada"),
        ("duplicate", "resolved", "operation", "ada"),
        ("late", "resolved", "operation", "ada"),
        ("missing_in_ledger", "resolved", "operation", "ada"),
        ("missing_in_report", "resolved", "operation", "ada"),
    ]
    balances = "SELECT currency, sum(balance_minor) FROM paystream.trial_balance GROUP BY ALL"
    assert {total for _, total in stack.ask(balances)} == {0}
    _bank_has_what_the_ledger_says(stack)


def _bank_has_what_the_ledger_says(stack: Stack) -> None:
    statement = httpx2.get(f"{stack.bank}/v1/statements/lines?since=2000-01-01", timeout=20).json()
    deposits: Counter[str] = Counter()
    for line in statement["lines"]:
        deposits[line["currency"]] += line["amount_minor"]
    held = stack.ask(
        "SELECT currency, sum(balance_minor) FROM paystream.trial_balance"
        " WHERE account = 'bank_clearing' GROUP BY currency"
    )
    assert dict(held) == deposits
    nets = stack.ask("SELECT state, count() FROM paystream.settlements GROUP BY state")
    assert dict(nets) == {"settled": 7, "reclassified": 2, "suspended": 2}
