"""`balances_add_up`: what merchants earned is what they were paid and what they are owed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from paystream.verify.dataset import Dataset
from paystream.verify.payouts import by_id
from paystream.verify.result import Findings
from schemas import topics
from schemas.enums import EventType, PayoutEventType
from schemas.records import PaymentEvent
from sinks.payouts import state as payout_state
from sinks.payouts.table import PAYOUTS_TABLE

PAYOUTS_CHANGELOG = "sinks-payouts-payouts-changelog"
BALANCES = """
SELECT merchant_id, mode, currency, paid_out_minor, in_payout_minor, available_minor,
    reserved_minor
FROM {views}.merchant_balances
"""
PARTS = {
    "available": "available_minor",
    "reserved": "reserved_minor",
    "in payout": "in_payout_minor",
    "paid": "paid_out_minor",
}
"""Part of a balance -> column of the view."""

_ADDS = {EventType.CAPTURED, EventType.DISPUTE_WON}
_TAKES = {EventType.REFUND_SUCCEEDED, EventType.DISPUTE_OPENED}

Account = tuple[str, str, str]  # merchant id, mode, currency
Sums = Counter[Account]


def balances_add_up(dataset: Dataset, findings: Findings) -> None:
    """Per merchant, mode and currency: captures - refunds - fees - disputes = what the parts are.

    Payment events, payout items, the payouts' table and the ledger are added up apart and must
    agree: earned = sum of the items; open balance = earned - payouts; and the ledger's available,
    in payout, paid and reserve with what the events say.
    """
    earned = _earned(dataset.all_events())
    items = _items(dataset, findings, earned)
    open_balances = _open_balances(dataset)
    expected = _expected_parts(dataset, earned)
    for account in sorted({*earned, *items, *open_balances}):
        who = " ".join(account)
        problem = f"events earned {earned[account]}, payout items sum to {items[account]}"
        findings.expect(earned[account] == items[account], who, problem)
        want, have = expected[account]["available"], open_balances[account]
        findings.expect(want == have, who, f"open balance by events {want}, in the table {have}")
    _ledger_agrees(dataset, expected, findings)


def _earned(events: Iterable[PaymentEvent]) -> Sums:
    earned: Sums = Counter()
    for event in events:
        account = (event.merchant_id, event.mode, event.currency)
        if event.type in _ADDS:
            earned[account] += event.amount_minor - event.fee_minor
        elif event.type in _TAKES:
            earned[account] -= event.amount_minor + event.fee_minor
    return earned


def _items(dataset: Dataset, findings: Findings, earned: Sums) -> Sums:
    """Sums of the items topic; where retention took its beginning, what was earned instead."""
    if dataset.cut_off(topics.PAYOUTS_ITEMS):
        findings.note("payouts.items begins late (retention): its sums were not compared")
        return earned
    items: Sums = Counter()
    for item in dataset.payout_items:
        items[item.merchant_id, item.mode, item.currency] += item.amount_minor
    return items


def _expected_parts(dataset: Dataset, earned: Sums) -> dict[Account, Counter[str]]:
    """What each part of a balance must be, from events alone."""
    parts: dict[Account, Counter[str]] = defaultdict(Counter)
    for account, amount_minor in earned.items():
        parts[account]["available"] = amount_minor
    for state in dataset.states.values():
        for dispute in state.disputes:
            if dispute.status == "open":
                account = (state.merchant_id, state.mode, state.currency)
                parts[account]["reserved"] += dispute.amount_minor
    for payout in by_id(dataset.payout_events).values():
        if payout.came_back:
            continue
        began, ended = payout
        paid = ended is not None and ended.type == PayoutEventType.PAID
        account = (began.merchant_id, began.mode, began.currency)
        parts[account]["paid" if paid else "in payout"] += began.amount_minor
        parts[account]["available"] -= began.amount_minor
    return parts


def _open_balances(dataset: Dataset) -> Sums:
    """Open balances as the payouts' table has them."""
    found: Sums = Counter()
    for value in dataset.last_values(PAYOUTS_CHANGELOG).values():
        entry = PAYOUTS_TABLE["decode"](value)
        if isinstance(entry, payout_state.OpenBalance):
            found[entry.merchant_id, entry.mode, entry.currency] += entry.amount_minor
    return found


def _ledger_agrees(
    dataset: Dataset, expected: Mapping[Account, Counter[str]], findings: Findings
) -> None:
    found: dict[Account, Counter[str]] = defaultdict(Counter)
    for row in dataset.ledger(BALANCES):
        account = (row["merchant_id"], row["mode"], row["currency"])
        found[account] = Counter({part: int(row[column]) for part, column in PARTS.items()})
    for who in sorted({*expected, *found}):
        wanted = expected.get(who, Counter())
        problem = "; ".join(
            f"{part} is {found[who][part]} in the ledger, {wanted[part]} by the events"
            for part in PARTS
            if found[who][part] != wanted[part]
        )
        findings.expect(not problem, " ".join(who), problem)
