"""A stopped sink that was replaced wakes up and inserts late, while somebody reads all the time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contract.ledger_scenario import Shop, a_day_at_the_shop
from stream.audit_harness import AuditStack, another_shop

from runtime.store_connections import ClickHouseConnection
from sinks.audit.ledger import expected_entries
from sinks.audit.store import connect

pytestmark = pytest.mark.services

TOTALS = """
SELECT account, state, mode, currency, debits_minor, credits_minor, entries
FROM paystream.trial_balance
"""
FUNNEL = "SELECT sum(created), sum(captured), sum(refunded) FROM paystream.funnel_hourly"
Key = tuple[Any, ...]


class Reader:
    """Asks for the totals without a pause and keeps what must never have been shown."""

    def __init__(
        self, url: str, truth: dict[Key, tuple[int, ...]], funnel: tuple[int, ...]
    ) -> None:
        self._url = url
        self._truth = truth
        self._funnel = funnel
        self.last: dict[Key, tuple[int, ...]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.looks = 0
        self.wrong: list[object] = []

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def _read(self) -> None:
        with connect(ClickHouseConnection(self._url), 60) as client:
            while not self._over.is_set():
                self._look(
                    [tuple(row) for row in client.query(TOTALS).result_rows],
                    tuple(client.query(FUNNEL).result_rows[0]),
                )

    def _look(self, rows: list[tuple[Any, ...]], funnel: tuple[int, ...]) -> None:
        """Totals only grow, never beyond the truth, and every currency balances at every look."""
        self.looks += 1
        balances: dict[Key, int] = {}
        for *key, debits, credits, entries in rows:
            now = (debits, credits, entries)
            place = tuple(key)
            truth, before = self._truth.get(place, (0, 0, 0)), self.last.get(place, (0, 0, 0))
            if any(a > b for a, b in zip(now, truth, strict=True)):
                self.wrong.append((place, now, "more than", truth))
            if any(a < b for a, b in zip(now, before, strict=True)):
                self.wrong.append((place, now, "less than before", before))
            self.last[place] = now
            balances[place[1:]] = balances.get(place[1:], 0) + debits - credits
        self.wrong += [(place, sum_) for place, sum_ in balances.items() if sum_]
        if any(a > b for a, b in zip(funnel, self._funnel, strict=True)):
            self.wrong.append(("funnel", funnel, "more than", self._funnel))


def truth_of(shop: Shop) -> dict[Key, tuple[int, ...]]:
    """Key of the trial balance -> debits, credits, entries."""
    totals: dict[Key, tuple[int, ...]] = {}
    for row in expected_entries([*shop.payments, *shop.payouts]):
        key = (row.account, row.state, row.mode, row.currency)
        debits, credits, entries = totals.get(key, (0, 0, 0))
        amount = row.amount_minor
        totals[key] = (debits + max(amount, 0), credits + max(-amount, 0), entries + 1)
    return totals


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[AuditStack]:
    made = AuditStack(tmp_path)
    yield made
    made.stop()


def test_a_zombie_that_inserts_late_is_never_seen(stack: AuditStack) -> None:
    shop = a_day_at_the_shop()
    day = {event.payment_id for event in shop.payments if event.type == "payment.created"}
    for number in range(5):
        shop.payments += another_shop(a_day_at_the_shop(), number).payments
    days = 6
    funnel = (len(day) * days, 6 * days, days)
    stack.start_clickhouse()
    reader = Reader(stack.url, truth_of(shop), funnel)
    zombie = stack.start_worker(STOP_BEFORE_INSERT="2", PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="60")
    with reader.looking():
        stack.produce(shop)
        status = Path(f"/proc/{zombie.pid}/status")
        try:
            stack.until(lambda: "State:\tT" in status.read_text())
            stack.start_worker(
                INSTANCE_ID="1"
            )  # with the same id the zombie would exit, not insert
            stack.wait_committed()
            stack.check(shop)
            for table in ("ledger_entries", "payment_events"):
                stack.ask(f"SYSTEM STOP MERGES paystream_raw.{table}")
            rows, looks = stack.raw_entries(), reader.looks
            zombie.signal(signal.SIGCONT)
            stack.until(lambda: stack.raw_entries() > rows)
            stack.until(lambda: reader.looks > looks + 20)
        finally:
            zombie.kill_group()
    assert reader.wrong == []
    assert reader.last == truth_of(shop)
    stack.check(shop)
