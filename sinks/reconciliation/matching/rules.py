"""Which lines and deposits match the ledger, and how the others differ (pure).

Discrepancies are a function of the facts and of the time of the last check. The order in which the
facts came does not matter.
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

FINAL_POSTINGS = (EventType.LINE_SETTLED, EventType.LINE_RECLASSIFIED)
"""Postings after which a line settles its operation permanently."""
_MS = 1000
Discrepancies = dict[str, BreakKind]
"""Subject (line id, or empty for a side that is missing or late) -> how it differs."""


class MatchingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Delays, bounds and defaults."""

    report_due_seconds: int = 3 * 86_400
    ledger_entry_due_seconds: int = 3_600
    deposit_due_seconds: int = 3 * 86_400
    remember_seconds: int = 180 * 86_400
    settle_attempts_max: int = 20
    page_lines: int = 500
    mode_unknown: str = Mode.LIVE
    """Mode of money that belongs to no known payment."""

    def report_due_at_ms(self, expected: Expected) -> int:
        """When the network should have reported it."""
        return expected.occurred_at_ms + self.report_due_seconds * _MS

    def ledger_entry_due_at_ms(self, published_at_ms: int) -> int:
        """When the ledger should have the operation of a line, or the report of a deposit."""
        return published_at_ms + self.ledger_entry_due_seconds * _MS

    def deposit_due_at_ms(self, report: ReportMatch) -> int:
        """When the bank should have the money of a report."""
        return report.published_at_ms + self.deposit_due_seconds * _MS

    def retained_until_ms(self, changed_at_ms: int) -> int:
        """When a finished entry expires."""
        return changed_at_ms + self.remember_seconds * _MS


def matches(line: Line, expected: Expected) -> bool:
    """Whether a line says what the ledger expects."""
    return (line.kind, line.currency, line.gross_minor) == (
        expected.kind,
        expected.currency,
        expected.amount_minor,
    )


def matched_line(operation: OperationMatch) -> Line | None:
    """The line of the operation: the one that was posted for it, else one that matches."""
    expected = operation.expected
    if expected is None or not operation.lines or was_written_off(operation):
        return None
    posted = [line for line in operation.lines if line.posted in FINAL_POSTINGS]
    if posted:
        return posted[0]
    ordered = sorted(operation.lines, key=lambda line: (line.published_at_ms, line.line_id))
    return next((line for line in ordered if matches(line, expected)), ordered[0])


def operation_discrepancies(
    operation: OperationMatch, policy: MatchingPolicy, checked_at_ms: int
) -> Discrepancies:
    """How the two sides of an operation differ."""
    expected = operation.expected
    if expected is None:
        return {
            line.line_id: BreakKind.MISSING_IN_LEDGER
            for line in operation.lines
            if policy.ledger_entry_due_at_ms(line.published_at_ms) <= checked_at_ms
        }
    if not operation.lines:
        overdue = policy.report_due_at_ms(expected) <= checked_at_ms
        return {"": BreakKind.MISSING_IN_REPORT} if overdue else {}
    if was_written_off(operation):
        return {line.line_id: BreakKind.DUPLICATE for line in operation.lines}
    return _line_discrepancies(operation, expected, policy)


def was_written_off(operation: OperationMatch) -> bool:
    """Whether the missing money was written off: a later line is then a duplicate."""
    return any(
        (b.subject, b.kind, b.state) == ("", BreakKind.MISSING_IN_REPORT, BreakState.WRITTEN_OFF)
        for b in operation.breaks
    )


def _line_discrepancies(
    operation: OperationMatch, expected: Expected, policy: MatchingPolicy
) -> Discrepancies:
    matched = matched_line(operation)
    assert matched is not None
    found: Discrepancies = {}
    if matched.published_at_ms > policy.report_due_at_ms(expected):
        found[""] = BreakKind.LATE
    if matched.currency != expected.currency:
        found[matched.line_id] = BreakKind.CURRENCY
    elif not matches(matched, expected):
        found[matched.line_id] = BreakKind.AMOUNT
    others = (line.line_id for line in operation.lines if line.line_id != matched.line_id)
    return found | dict.fromkeys(others, BreakKind.DUPLICATE)


def matched_deposit(report: ReportMatch) -> Deposit | None:
    """The deposit of a complete report."""
    if not report.is_complete or not report.deposits:
        return None
    ordered = sorted(report.deposits, key=lambda deposit: (deposit.booked_at_ms, deposit.line_id))
    if report.paid:
        return next((d for d in ordered if d.line_id == report.paid_by), None)
    return next((d for d in ordered if pays(d, report)), ordered[0])


def pays(deposit: Deposit, report: ReportMatch) -> bool:
    """Whether a deposit has the report's amount and currency."""
    return (deposit.currency, deposit.amount_minor) == (report.currency, report.net_minor)


def report_discrepancies(report: ReportMatch, policy: MatchingPolicy) -> Discrepancies:
    """How a report and its deposits differ, as of the last check."""
    checked_at_ms = report.checked_at_ms
    if not report.is_complete:
        return {
            deposit.line_id: BreakKind.MISSING_IN_LEDGER
            for deposit in report.deposits
            if policy.ledger_entry_due_at_ms(deposit.booked_at_ms) <= checked_at_ms
        }
    if not report.deposits:
        overdue = policy.deposit_due_at_ms(report) <= checked_at_ms
        return {"": BreakKind.MISSING_IN_REPORT} if overdue else {}
    return _deposit_discrepancies(report, policy)


def _deposit_discrepancies(report: ReportMatch, policy: MatchingPolicy) -> Discrepancies:
    matched, found = matched_deposit(report), Discrepancies()
    if matched is not None:
        if matched.booked_at_ms > policy.deposit_due_at_ms(report):
            found[""] = BreakKind.LATE
        if matched.currency != report.currency:
            found[matched.line_id] = BreakKind.CURRENCY
        elif matched.amount_minor != report.net_minor:
            found[matched.line_id] = BreakKind.AMOUNT
    others = (d.line_id for d in report.deposits if d is not matched)
    return found | dict.fromkeys(others, BreakKind.DUPLICATE)


def next_check_at_ms(entry: object, policy: MatchingPolicy) -> int | None:
    """When an entry must be checked although nothing new came: a side is overdue by then."""
    if isinstance(entry, PaymentMatch):
        times = [t for o in entry.operations for t in _operation_check_times(o, policy)]
    elif isinstance(entry, ReportMatch):
        times = _report_check_times(entry, policy)
    else:
        return None
    return min((time for time in times if time > entry.checked_at_ms), default=None)


def _operation_check_times(operation: OperationMatch, policy: MatchingPolicy) -> list[int]:
    if operation.expected is None:
        return [policy.ledger_entry_due_at_ms(line.published_at_ms) for line in operation.lines]
    return [] if operation.lines else [policy.report_due_at_ms(operation.expected)]


def _report_check_times(report: ReportMatch, policy: MatchingPolicy) -> list[int]:
    if not report.is_complete:
        return [policy.ledger_entry_due_at_ms(deposit.booked_at_ms) for deposit in report.deposits]
    return [] if report.deposits else [policy.deposit_due_at_ms(report)]
