"""`reconciliation`: reports, deposits and our events give just these postings and breaks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from runtime.settings import load
from schemas import topics
from schemas.enums import BreakKind, EventType
from schemas.enums import ReconciliationEventType as Type
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.records import PaymentEvent, ReconciliationEvent, ReconciliationRequest
from sinks.reconciliation.matching.intake import requests_of_line, requests_of_statement_line
from sinks.reconciliation.matching.outcome import Outcome, is_about_report
from sinks.reconciliation.matching.payments import PaymentAggregate
from sinks.reconciliation.matching.reports import ReportAggregate
from sinks.reconciliation.matching.state import SYSTEM
from sinks.reconciliation.settings import ReconciliationSettings

SETTLED_SUMS = """
SELECT account, currency, sum(amount_minor) AS amount_minor FROM {views}.ledger_entries
WHERE transaction_type = 'line.settled' GROUP BY account, currency
"""
_POSTINGS = (Type.LINE_SETTLED, Type.LINE_SUSPENDED, Type.LINE_RECLASSIFIED)
_TAKEN = (Type.LINE_SETTLED, Type.LINE_RECLASSIFIED)


class Found(NamedTuple):
    """Line id -> its last posting; break id -> its last event."""

    postings: dict[str, ReconciliationEvent]
    breaks: dict[str, ReconciliationEvent]


def reconciliation(dataset: Dataset, findings: Findings) -> None:
    """Postings and breaks = the matching applied to reports, statements and events again.

    The ledger's settled amounts = the lines that were matched. Of a simulated network each injected
    difference is a break, and no other is. A payment whose captures are all paid is settled.
    """
    found = _found(iter(dataset.reconciliation_events))
    _as_recomputed(dataset, found, findings)
    _lines_are_reported(dataset, found, findings)
    _ledger_agrees(dataset, found, findings)
    _injected(dataset, found, findings)
    _payments_are_settled(dataset, found, findings)


def _found(events: Iterator[ReconciliationEvent]) -> Found:
    postings: dict[str, ReconciliationEvent] = {}
    breaks: dict[str, ReconciliationEvent] = {}
    for event in events:
        if event.type in _POSTINGS and event.line_id:
            postings[event.line_id] = event
        elif event.break_id and event.break_version:
            breaks[event.break_id] = event
    return Found(postings, breaks)


def _scope(event: ReconciliationEvent) -> str:
    return event.operation_id or event.report_id or ""


def _as_recomputed(dataset: Dataset, found: Found, findings: Findings) -> None:
    if dataset.cut_off(topics.RECONCILIATION_REQUESTS):
        findings.note("reconciliation.requests begins late (retention): nothing was recomputed")
        return
    expected = _found(iter(recomputed(dataset).events))
    for name, of in (("postings", _postings), ("breaks", _breaks)):
        here, there = of(found), of(expected)
        for key in sorted(here.keys() | there.keys()):
            problem = f"{name}: {here[key]} of {key[1:]} found, {there[key]} by the sources"
            findings.expect(here[key] == there[key], key[0], problem)


def _postings(found: Found) -> Counter[tuple[str, ...]]:
    return Counter((_scope(e), e.type, str(e.gross_minor)) for e in found.postings.values())


def _breaks(found: Found) -> Counter[tuple[str, ...]]:
    """What the system closed by itself depends on when somebody looked: it is left out."""
    return Counter(
        (_scope(e), e.break_kind or "", e.break_state or "")
        for e in found.breaks.values()
        if not _closed_by_system(e)
    )


def _closed_by_system(event: ReconciliationEvent) -> bool:
    return event.break_state == "resolved" and event.actor == SYSTEM


def recomputed(dataset: Dataset) -> Outcome:
    """The matching over all that was read, looked at and decided, in another order."""
    policy = load(ReconciliationSettings, "reconciliation", dataset.env).policy()
    table: dict[str, Any] = {}
    payments, reports = PaymentAggregate(table, policy), ReportAggregate(table, policy)
    whole = Outcome()
    waiting: deque[ReconciliationRequest] = deque()
    for event in dataset.all_events():
        _add(whole, payments.payment(event))
    for line in dataset.settlement_lines:
        waiting += requests_of_line(table, line)
    for booking in dataset.bank_lines:
        waiting += requests_of_statement_line(table, booking)
    later = deque(
        r for r in dataset.reconciliation_requests if r.kind in (Kind.CHECK_OVERDUE, Kind.DECIDE)
    )
    while waiting or later:
        request = waiting.popleft() if waiting else later.popleft()
        fold = reports if is_about_report(request) else payments
        outcome = fold.request(request)
        _add(whole, outcome)
        waiting += outcome.requests
    return whole


def _add(whole: Outcome, part: Outcome) -> None:
    whole.events += part.events
    whole.commands += part.commands


def _lines_are_reported(dataset: Dataset, found: Found, findings: Findings) -> None:
    """Each posted line is one of a report, and an operation has one line at most."""
    lines = {line.line_id: line for line in dataset.settlement_lines}
    taken: Counter[str] = Counter()
    for line_id, event in found.postings.items():
        line = lines.get(line_id.partition("~")[0])
        says = (event.gross_minor, event.fee_minor, event.currency)
        right = line is not None and says == (line.gross_minor, line.fee_minor, line.currency)
        findings.expect(right, line_id, f"{event.type} of {says}: no report says so")
        taken[event.operation_id or ""] += event.type in _TAKEN
    for operation_id, count in taken.items():
        findings.expect(count <= 1, operation_id, f"was settled by {count} lines")


def _ledger_agrees(dataset: Dataset, found: Found, findings: Findings) -> None:
    wanted: Counter[tuple[str, str]] = Counter()
    for event in found.postings.values():
        if event.type == Type.LINE_SETTLED:
            net_minor = event.gross_minor - event.fee_minor
            wanted["bank_clearing", event.currency] += net_minor
            wanted["network_cost", event.currency] += event.fee_minor
            wanted["network_receivable", event.currency] -= event.gross_minor
    held: Counter[tuple[str, str]] = Counter()
    for row in dataset.ledger(SETTLED_SUMS):
        held[row["account"], row["currency"]] += int(row["amount_minor"])
    for key in sorted(wanted.keys() | held.keys()):
        problem = f"settled {held[key]} in the ledger, {wanted[key]} by the matched lines"
        findings.expect(held[key] == wanted[key], " ".join(key), problem)


def _injected(dataset: Dataset, found: Found, findings: Findings) -> None:
    """Of a simulated network: each injected difference that is due is a break, and no other is.

    A real network reports no such list. Its breaks are work for people, not violations.
    """
    if dataset.injected_discrepancies is None:
        findings.note("the card network lists no injected differences: its breaks are not judged")
        return
    open_or_decided = [e for e in found.breaks.values() if not _closed_by_system(e)]
    breaks = Counter((_scope(e), e.break_kind or "") for e in open_or_decided)
    injected: Counter[tuple[str, str]] = Counter()
    for difference in dataset.injected_discrepancies:
        scope = difference.get("operation_id") or difference["report_id"]
        injected[scope, difference["kind"]] += 1
    waiting = 0
    for scope, kind in injected:
        if breaks[scope, kind] == 0 and kind in _IN_TIME:
            waiting += 1
            continue
        problem = f"the injected difference {kind} is {breaks[scope, kind]} breaks instead of 1"
        findings.expect(breaks[scope, kind] == 1, scope, problem)
    if waiting:
        findings.note(f"{waiting} injected differences are not overdue yet")
    for scope, kind in breaks:
        findings.expect(injected[scope, kind] > 0, scope, f"a break that nobody injected: {kind}")


_IN_TIME = (BreakKind.MISSING_IN_LEDGER, BreakKind.MISSING_IN_REPORT, BreakKind.LATE)
"""Differences of time: whether they are due, `_as_recomputed` says."""


def _payments_are_settled(dataset: Dataset, found: Found, findings: Findings) -> None:
    taken = {e.operation_id for e in found.postings.values() if e.type in _TAKEN}
    captures: dict[str, list[str]] = {}
    last: dict[str, PaymentEvent] = {}
    settled: set[str] = set()
    for event in dataset.all_events():
        last[event.payment_id] = event
        if event.type == EventType.CAPTURED and event.operation_id:
            captures.setdefault(event.payment_id, []).append(event.operation_id)
        if event.type == EventType.SETTLED:
            settled.add(event.payment_id)
    for payment_id, operations in captures.items():
        paid = taken.issuperset(operations) and last[payment_id].status == "captured"
        problem = "the network has paid all its captures, and it is not settled"
        findings.expect(not paid or payment_id in settled, payment_id, problem)
