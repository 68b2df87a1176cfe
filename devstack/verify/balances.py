"""`balances_add_up`: what merchants earned is what they were paid and what they are owed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from devstack.verify.evidence import Evidence
from devstack.verify.payouts import by_id
from devstack.verify.result import Findings
from schemas import topics
from schemas.records import PaymentEvent
from schemas.vocabulary import EventType, PayoutEventType
from sinks.payouts import folding_state

PAYOUTS_CHANGELOG = "sinks-payouts-payouts-changelog"
BALANCES = """
SELECT merchant_id, currency, paid_out_minor, in_payout_minor, available_minor, reserved_minor
FROM {views}.merchant_balances
"""
PARTS = ("available", "reserved", "in payout", "paid")

_ADDS = {EventType.CAPTURED, EventType.DISPUTE_WON}
_TAKES = {EventType.REFUND_SUCCEEDED, EventType.DISPUTE_OPENED}

Account = tuple[str, str]  # merchant id, currency
Sums = Counter[Account]


def balances_add_up(evidence: Evidence, findings: Findings) -> None:
    """Per merchant and currency: captures - refunds - fees - disputes = what the parts sum to.

    Payment events, payout items, the payouts' table and the ledger are added up apart and must
    agree: sum of items and open balance with what can be paid out (live money, unless set
    otherwise), the ledger's available + in payout + paid with all that was earned, and its reserve
    with the open disputes.
    """
    earned = _earned(evidence.all_events())
    payable = _earned(event for event in evidence.all_events() if evidence.pays(event))
    items = _items(evidence, findings, payable)
    open_balances = _open_balances(evidence)
    expected = _expected_parts(evidence, earned)
    ledger = {(row["merchant_id"], row["currency"]): row for row in evidence.ledger(BALANCES)}
    for account in sorted({*earned, *items, *open_balances, *ledger}):
        who = " ".join(account)
        problem = f"events earned {payable[account]}, payout items sum to {items[account]}"
        findings.expect(payable[account] == items[account], who, problem)
        unpayable = earned[account] - payable[account]
        want, have = expected[account]["available"] - unpayable, open_balances[account]
        findings.expect(want == have, who, f"open balance by events {want}, in the table {have}")
        problem = _differences(expected[account], ledger.get(account))
        findings.expect(not problem, who, problem)


def _earned(events: Iterable[PaymentEvent]) -> Sums:
    earned: Sums = Counter()
    for event in events:
        account = (event.merchant_id, event.currency)
        if event.type in _ADDS:
            earned[account] += event.amount_minor - event.fee_minor
        elif event.type in _TAKES:
            earned[account] -= event.amount_minor + event.fee_minor
    return earned


def _items(evidence: Evidence, findings: Findings, payable: Sums) -> Sums:
    """Sums of the items topic; where retention took its beginning, what was earned instead."""
    if evidence.cut_off(topics.PAYOUTS_ITEMS):
        findings.note("payouts.items begins late (retention): its sums were not compared")
        return payable
    items: Sums = Counter()
    for item in evidence.payout_items:
        items[item.merchant_id, item.currency] += item.amount_minor
    return items


def _expected_parts(evidence: Evidence, earned: Sums) -> dict[Account, Counter[str]]:
    """What each part of a balance must be, from events alone."""
    parts: dict[Account, Counter[str]] = defaultdict(Counter)
    for account, amount_minor in earned.items():
        parts[account]["available"] = amount_minor
    for state in evidence.states.values():
        for dispute in state.disputes:
            if dispute.status == "open":
                parts[state.merchant_id, state.currency]["reserved"] += dispute.amount_minor
    for payout in by_id(evidence.payout_events).values():
        if payout.came_back:
            continue
        began, ended = payout
        paid = ended is not None and ended.type == PayoutEventType.PAID
        account = (began.merchant_id, began.currency)
        parts[account]["paid" if paid else "in payout"] += began.amount_minor
        parts[account]["available"] -= began.amount_minor
    return parts


def _open_balances(evidence: Evidence) -> Sums:
    """Open balances as the payouts' table has them."""
    found: Sums = Counter()
    for value in evidence.last_values(PAYOUTS_CHANGELOG).values():
        entry = folding_state.decode(value)
        if isinstance(entry, folding_state.OpenBalance):
            found[entry.merchant_id, entry.currency] += entry.amount_minor
    return found


def _differences(expected: Counter[str], row: Mapping[str, Any] | None) -> str:
    """What the ledger says otherwise."""
    columns = {"paid": "paid_out_minor"}
    wrong = []
    for part in PARTS:
        column = columns.get(part, f"{part.replace(' ', '_')}_minor")
        found = int(row[column]) if row is not None else 0
        if found != expected[part]:
            wrong.append(f"{part} is {found} in the ledger, {expected[part]} by the events")
    return "; ".join(wrong)
