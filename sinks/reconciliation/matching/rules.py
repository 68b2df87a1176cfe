"""Which lines and deposits agree with what we know, and how the others differ (pure).

The verdict is a function of the facts and of the time at which somebody looked, whatever the order
in which the facts came.
"""

import msgspec

from schemas.enums import BreakKind, BreakState, Mode
from schemas.enums import ReconciliationEventType as EventType
from sinks.reconciliation.matching.state import (
    Deposit,
    Expected,
    Line,
    OperationMatch,
    PaymentMatch,
    ReportMatch,
)

TAKEN = (EventType.LINE_SETTLED, EventType.LINE_RECLASSIFIED)
"""Postings of a line that stands for its operation for good."""
_MS = 1000
Verdicts = dict[str, BreakKind]
"""Subject (line id, or empty for a side that is missing or late) -> how it differs."""


class MatchingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Delays, bounds and what is assumed."""

    report_due_seconds: int = 3 * 86_400
    ledger_entry_due_seconds: int = 3_600
    deposit_due_seconds: int = 3 * 86_400
    remember_seconds: int = 180 * 86_400
    settle_attempts_max: int = 20
    page_lines: int = 500
    mode_unknown: str = Mode.LIVE
    """Mode of money that belongs to no payment of ours."""

    def missing_there_at_ms(self, ours: Expected) -> int:
        """When the network should have reported it."""
        return ours.occurred_at_ms + self.report_due_seconds * _MS

    def missing_here_at_ms(self, published_at_ms: int) -> int:
        """When we should know what a line or deposit is about."""
        return published_at_ms + self.ledger_entry_due_seconds * _MS

    def deposit_at_ms(self, report: ReportMatch) -> int:
        """When the bank should have the money of a report."""
        return report.published_at_ms + self.deposit_due_seconds * _MS

    def retained_until_ms(self, changed_at_ms: int) -> int:
        """When what is done is forgotten."""
        return changed_at_ms + self.remember_seconds * _MS


def agrees(line: Line, ours: Expected) -> bool:
    """Whether a line says what we know."""
    return (line.kind, line.currency, line.gross_minor) == (
        ours.kind,
        ours.currency,
        ours.amount_minor,
    )


def matched_line(operation: OperationMatch) -> Line | None:
    """The line that stands for the operation: one that was taken for it, else one that agrees."""
    ours = operation.ours
    if ours is None or not operation.lines or was_written_off(operation):
        return None
    taken = [line for line in operation.lines if line.posted in TAKEN]
    if taken:
        return taken[0]
    ordered = sorted(operation.lines, key=lambda line: (line.published_at_ms, line.line_id))
    return next((line for line in ordered if agrees(line, ours)), ordered[0])


def operation_verdicts(
    operation: OperationMatch, policy: MatchingPolicy, checked_at_ms: int
) -> Verdicts:
    """How an operation's two sides differ."""
    ours = operation.ours
    if ours is None:
        return {
            line.line_id: BreakKind.MISSING_IN_LEDGER
            for line in operation.lines
            if policy.missing_here_at_ms(line.published_at_ms) <= checked_at_ms
        }
    if not operation.lines:
        overdue = policy.missing_there_at_ms(ours) <= checked_at_ms
        return {"": BreakKind.MISSING_IN_REPORT} if overdue else {}
    if was_written_off(operation):
        return {line.line_id: BreakKind.DUPLICATE for line in operation.lines}
    return _line_verdicts(operation, ours, policy)


def was_written_off(operation: OperationMatch) -> bool:
    """Whether the missing money was written off: a line that comes later is one too many."""
    return any(
        (b.subject, b.kind, b.state) == ("", BreakKind.MISSING_IN_REPORT, BreakState.WRITTEN_OFF)
        for b in operation.breaks
    )


def _line_verdicts(operation: OperationMatch, ours: Expected, policy: MatchingPolicy) -> Verdicts:
    chosen = matched_line(operation)
    assert chosen is not None
    found: Verdicts = {}
    if chosen.published_at_ms > policy.missing_there_at_ms(ours):
        found[""] = BreakKind.LATE
    if chosen.currency != ours.currency:
        found[chosen.line_id] = BreakKind.CURRENCY
    elif not agrees(chosen, ours):
        found[chosen.line_id] = BreakKind.AMOUNT
    others = (line.line_id for line in operation.lines if line.line_id != chosen.line_id)
    return found | dict.fromkeys(others, BreakKind.DUPLICATE)


def chosen_deposit(report: ReportMatch) -> Deposit | None:
    """The deposit that stands for a complete report."""
    if not report.is_complete or not report.deposits:
        return None
    ordered = sorted(report.deposits, key=lambda deposit: (deposit.booked_at_ms, deposit.line_id))
    if report.paid:
        return next((d for d in ordered if d.line_id == report.paid_by), None)
    return next((d for d in ordered if pays(d, report)), ordered[0])


def pays(deposit: Deposit, report: ReportMatch) -> bool:
    """Whether a deposit is what the report says."""
    return (deposit.currency, deposit.amount_minor) == (report.currency, report.net_minor)


def report_verdicts(report: ReportMatch, policy: MatchingPolicy) -> Verdicts:
    """How a report and its deposits differ, as of the last look."""
    checked_at_ms = report.checked_at_ms
    if not report.is_complete:
        return {
            deposit.line_id: BreakKind.MISSING_IN_LEDGER
            for deposit in report.deposits
            if policy.missing_here_at_ms(deposit.booked_at_ms) <= checked_at_ms
        }
    if not report.deposits:
        overdue = policy.deposit_at_ms(report) <= checked_at_ms
        return {"": BreakKind.MISSING_IN_REPORT} if overdue else {}
    return _deposit_verdicts(report, policy)


def _deposit_verdicts(report: ReportMatch, policy: MatchingPolicy) -> Verdicts:
    chosen, found = chosen_deposit(report), Verdicts()
    if chosen is not None:
        if chosen.booked_at_ms > policy.deposit_at_ms(report):
            found[""] = BreakKind.LATE
        if chosen.currency != report.currency:
            found[chosen.line_id] = BreakKind.CURRENCY
        elif chosen.amount_minor != report.net_minor:
            found[chosen.line_id] = BreakKind.AMOUNT
    others = (d.line_id for d in report.deposits if d is not chosen)
    return found | dict.fromkeys(others, BreakKind.DUPLICATE)


def next_check_at_ms(entry: object, policy: MatchingPolicy) -> int | None:
    """When an entry must be looked at although nothing new came: a side is missing by then."""
    if isinstance(entry, PaymentMatch):
        times = [t for o in entry.operations for t in _operation_looks(o, policy)]
    elif isinstance(entry, ReportMatch):
        times = _report_looks(entry, policy)
    else:
        return None
    return min((time for time in times if time > entry.checked_at_ms), default=None)


def _operation_looks(operation: OperationMatch, policy: MatchingPolicy) -> list[int]:
    if operation.ours is None:
        return [policy.missing_here_at_ms(line.published_at_ms) for line in operation.lines]
    return [] if operation.lines else [policy.missing_there_at_ms(operation.ours)]


def _report_looks(report: ReportMatch, policy: MatchingPolicy) -> list[int]:
    if not report.is_complete:
        return [policy.missing_here_at_ms(deposit.booked_at_ms) for deposit in report.deposits]
    return [] if report.deposits else [policy.deposit_at_ms(report)]
