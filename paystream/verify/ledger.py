"""`ledger_balances` and `ledger_matches_events`: what analysts read in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.records import PaymentEvent, PayoutEvent, ReconciliationEvent
from sinks.audit.ledger import (
    ENTRY_COLUMNS_SQL,
    EntryRow,
    UnbalancedTransaction,
    entry_rows,
    transaction_for,
)

UNBALANCED = """
SELECT transaction_id, currency, state, sum(amount_minor) AS imbalance_minor
FROM {views}.ledger_entries GROUP BY transaction_id, currency, state HAVING imbalance_minor != 0
ORDER BY transaction_id
"""
TRANSACTIONS = "SELECT uniqExact(transaction_id) AS transactions FROM {views}.ledger_entries"
TRIAL_BALANCE = """
SELECT currency, state, sum(balance_minor) AS balance_minor
FROM {views}.trial_balance GROUP BY currency, state ORDER BY currency, state
"""
ENTRIES = f"SELECT {ENTRY_COLUMNS_SQL} FROM {{views}}.ledger_entries"  # noqa: S608 - column names


def ledger_balances(dataset: Dataset, findings: Findings) -> None:
    """Every transaction sums to zero per currency and state, and so does the trial balance."""
    for row in dataset.ledger(TRANSACTIONS):
        findings.checked += int(row["transactions"])
    for row in dataset.ledger(UNBALANCED):
        off = f"off by {row['imbalance_minor']} {row['currency']} ({row['state']})"
        findings.violation(row["transaction_id"], off)
    for row in dataset.ledger(TRIAL_BALANCE):
        problem = f"trial balance is {row['balance_minor']} instead of 0"
        findings.expect(row["balance_minor"] == 0, f"{row['currency']} {row['state']}", problem)


def ledger_matches_events(dataset: Dataset, findings: Findings) -> None:
    """The entries in ClickHouse are the mapping of the events: none missing, extra or twice."""
    expected = {row.entry_id: row for row in _expected(dataset, findings)}
    seen: set[str] = set()
    for found in dataset.ledger(ENTRIES):
        entry_id = found["entry_id"]
        findings.checked += 1
        if entry_id in seen:
            findings.violation(entry_id, "is twice in the ledger")
        elif entry_id not in expected:
            findings.violation(entry_id, "is in the ledger, no event says so")
        elif differs := _differences(found, expected[entry_id]):
            findings.violation(entry_id, differs)
        seen.add(entry_id)
    for entry_id in sorted(expected.keys() - seen):
        findings.expect(False, entry_id, "is missing in the ledger")


def _expected(dataset: Dataset, findings: Findings) -> Iterator[EntryRow]:
    events: Iterator[PaymentEvent | PayoutEvent | ReconciliationEvent] = chain(
        dataset.all_events(), dataset.payout_events, dataset.reconciliation_events
    )
    for event in events:
        try:
            transaction = transaction_for(event)
        except UnbalancedTransaction as error:
            findings.violation(event.event_id, f"cannot be a movement: {error}")
            continue
        if transaction is not None:
            yield from entry_rows(transaction)


def _differences(found: Mapping[str, Any], expected: EntryRow) -> str:
    return "; ".join(
        f"{name} is {found[name]} in the ledger, {value} by the events"
        for name, value in expected._asdict().items()
        if found[name] != value
    )
