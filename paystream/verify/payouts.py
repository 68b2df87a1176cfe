"""`paid_once`: what the bank did, compared with what the payouts say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.enums import PayoutEventType
from schemas.records import PayoutEvent
from sinks.payouts.rules import item_of

ACCEPTED = "accepted"
_BEGINS = {PayoutEventType.CREATED, PayoutEventType.CARRIED_FORWARD}


class Payout(NamedTuple):
    """The events of one payout: how it began (created or carried) and how it ended, if it did."""

    began: PayoutEvent
    ended: PayoutEvent | None

    @property
    def came_back(self) -> bool:
        """Its whole amount is owed again, as one item that has the payout's id."""
        carried = self.began.type == PayoutEventType.CARRIED_FORWARD
        return carried or (self.ended is not None and self.ended.type == PayoutEventType.FAILED)


Payouts = dict[str, Payout]


def paid_once(dataset: Dataset, findings: Findings) -> None:
    """One accepted instruction per payout at most, as the events say; items sum to the payout."""
    payouts = by_id(dataset.payout_events, findings)
    instructions: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in dataset.bank_log:
        if line["status"] == ACCEPTED:
            instructions[payout_of(line["idempotency_key"])].append(line)
    for payout_id, lines in instructions.items():
        findings.expect(len(lines) == 1, payout_id, f"paid {len(lines)} times by the bank")
        for line in lines:
            _as_instructed(line, payouts.get(payout_id), payout_id, findings)
    for payout_id, payout in payouts.items():
        if payout.ended is not None and payout.ended.type == PayoutEventType.PAID:
            problem = "payout.paid, but the bank knows of no payment"
            findings.expect(payout_id in instructions, payout_id, problem)
    _items_sum_to_payouts(dataset, payouts, findings)


def payout_of(idempotency_key: str) -> str:
    """The payout that an instruction's key is derived from."""
    return idempotency_key.partition("#")[0].partition(":")[0]


def by_id(events: list[PayoutEvent], findings: Findings | None = None) -> Payouts:
    """Payouts with their first and last event; findings get what ended twice or never began."""
    found: Payouts = {}
    for event in events:
        known = found.get(event.payout_id)
        if event.type in _BEGINS and known is None:
            found[event.payout_id] = Payout(event, None)
        elif known is not None and known.ended is None and event.type not in _BEGINS:
            found[event.payout_id] = known._replace(ended=event)
        elif findings is not None:
            findings.violation(event.payout_id, f"{event.type} ({event.event_id}) out of turn")
    return found


def _as_instructed(
    line: Mapping[str, Any], payout: Payout | None, payout_id: str, findings: Findings
) -> None:
    if payout is None or payout.began.type != PayoutEventType.CREATED:
        findings.expect(False, payout_id, "the bank paid what no event created")
        return
    began, ended = payout
    agrees = (line["amount_minor"], line["currency"]) == (began.amount_minor, began.currency)
    said = f"created over {began.amount_minor} {began.currency}"
    findings.expect(agrees, payout_id, f"{said}, paid {line['amount_minor']} {line['currency']}")
    right = line["account"] == began.bank_account
    findings.expect(right, payout_id, "paid to another account than the payout's")
    if ended is not None:
        problem = f"the bank paid it, the events say {ended.type}"
        findings.expect(ended.type == PayoutEventType.PAID, payout_id, problem)


def _items_sum_to_payouts(dataset: Dataset, payouts: Payouts, findings: Findings) -> None:
    earned = (item_of(event) for event in dataset.all_events())
    items = {item.item_id: (item.mode, item.amount_minor) for item in earned if item is not None}
    for payout_id, payout in payouts.items():
        if payout.came_back:
            items[payout_id] = (payout.began.mode, payout.began.amount_minor)
    taken: dict[str, str] = {}
    for payout_id, payout in payouts.items():
        began = payout.began
        missing = [item_id for item_id in began.items if item_id not in items]
        findings.expect(not missing, payout_id, f"takes items that nobody earned: {missing[:3]}")
        total = sum(items.get(item_id, (began.mode, 0))[1] for item_id in began.items)
        modes = {items[item_id][0] for item_id in began.items if item_id in items}
        problem = f"a {began.mode} payout of {' and '.join(sorted(modes))} money"
        findings.expect(modes <= {began.mode}, payout_id, problem)
        problem = f"its {len(began.items)} items sum to {total}, it says {began.amount_minor}"
        says = (began.amount_minor, began.item_count)
        findings.expect(bool(missing) or (total, len(began.items)) == says, payout_id, problem)
        for item_id in began.items:
            other = taken.setdefault(item_id, payout_id)
            findings.expect(other == payout_id, item_id, f"is in {other} and in {payout_id}")
