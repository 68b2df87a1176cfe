"""Reports and the bank's deposits, per report (pure).

A report is paid when all its lines were read and a deposit has their sum, or when an operator
decides so. Then each of its lines is notified, a page of lines per record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from schemas.enums import BankLineKind, BreakKind, BreakState
from schemas.enums import ReconciliationEventType as Type
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.records import ReconciliationEvent, ReconciliationRequest
from sinks.reconciliation.matching.breaks import (
    Move,
    by_id,
    moved,
    rejection,
    update_breaks,
    with_break,
)
from sinks.reconciliation.matching.outcome import (
    Outcome,
    notify_lines_request,
    reconciliation_event_id,
    report_paid_request,
)
from sinks.reconciliation.matching.rules import (
    MatchingPolicy,
    matched_deposit,
    pays,
    report_discrepancies,
)
from sinks.reconciliation.matching.state import (
    Break,
    Deposit,
    ReportMatch,
    ReportPage,
    report_key,
    subject_of,
)

if TYPE_CHECKING:
    from engine import TableView

_PAID_BY_DECISION = (BreakKind.AMOUNT, BreakKind.CURRENCY, BreakKind.MISSING_IN_REPORT)
"""Differences after which a report counts as paid, once an operator has closed them."""


class ReportAggregate:
    """Requests about reports of one table partition, in order."""

    def __init__(self, table: TableView[Any], policy: MatchingPolicy) -> None:
        self._table = table
        self._policy = policy
        self._handlers: dict[str, Callable[[ReportMatch, ReconciliationRequest], ReportMatch]] = {
            Kind.REPORT_LINE: self._with_line,
            Kind.DEPOSIT: _with_deposit,
            Kind.CHECK_OVERDUE: _checked,
        }

    def request(self, request: ReconciliationRequest) -> Outcome:
        """Apply a line, a deposit, an overdue check or a decision, or notify a page of lines."""
        if request.kind == Kind.NOTIFY_LINES:
            return self._notify_lines(request)
        found: ReportMatch | None = self._table.get(report_key(request.subject_id))
        before = found or ReportMatch(report_id=request.subject_id)
        reconciler = ReportReconciler(before, self._policy, request.issued_at_ms)
        if request.kind == Kind.DECIDE:
            reconciler.decide(request)
        else:
            reconciler.report = self._handlers[request.kind](before, request)
        outcome = Outcome(events=reconciler.reconcile())
        if reconciler.report.paid and not before.paid:
            outcome.requests.append(notify_lines_request(before.report_id, 0, request.issued_at_ms))
        if reconciler.report != before:
            at_ms = max(before.changed_at_ms, request.issued_at_ms)
            changed = replace(reconciler.report, changed_at_ms=at_ms)
            self._table[report_key(before.report_id)] = changed
        return outcome

    def _with_line(self, report: ReportMatch, request: ReconciliationRequest) -> ReportMatch:
        line_id, operation_id = request.line_id or "", request.operation_id or ""
        subject_id = subject_of(operation_id, line_id)
        recent, pages = (*report.recent, (subject_id, operation_id, line_id)), report.pages
        if len(recent) >= self._policy.page_lines:
            page = ReportPage(request.published_at_ms or 0, recent)
            self._table[report_key(report.report_id, pages)] = page
            recent, pages = (), pages + 1
        return replace(
            report,
            network=request.network or "",
            currency=request.currency or "",
            lines_expected=request.report_lines or 0,
            lines_seen=report.lines_seen + 1,
            net_minor=request.report_net_minor or 0,
            published_at_ms=request.published_at_ms or 0,
            recent=recent,
            pages=pages,
        )

    def _notify_lines(self, request: ReconciliationRequest) -> Outcome:
        """The lines of one page; the next page has a record of its own."""
        report: ReportMatch | None = self._table.get(report_key(request.subject_id))
        if report is None:
            return Outcome()
        number, at_ms = request.page or 0, request.issued_at_ms
        if number < report.pages:
            page: ReportPage = self._table[report_key(report.report_id, number)]
            lines = page.lines
        else:
            lines = report.recent
        requests = [report_paid_request(report.report_id, line, at_ms) for line in lines]
        if number < report.pages:
            requests.append(notify_lines_request(report.report_id, number + 1, at_ms))
        return Outcome(requests=requests)


class ReportReconciler:
    """Brings postings and breaks of one report in line with its facts; collects the events."""

    def __init__(self, report: ReportMatch, policy: MatchingPolicy, at_ms: int) -> None:
        self.report = report
        self._policy = policy
        self._at_ms = at_ms
        self._events: list[ReconciliationEvent] = []

    def decide(self, request: ReconciliationRequest) -> None:
        """Move a break as an operator decided, or record why not."""
        move = Move(request.break_state or "", request.actor or "", request.reason or "")
        found = by_id(self.report.breaks, request.break_id or "")
        reason = rejection(found, move)
        if found is None or reason:
            actor = move.actor or None
            self._emit(
                Type.DECISION_REFUSED,
                None,
                break_id=request.break_id or "",
                reason=reason,
                actor=actor,
            )
            return
        after = moved(found, move)
        self._replace_break(after)
        self._emit_break(after, actor=move.actor, reason=move.reason)

    def reconcile(self) -> list[ReconciliationEvent]:
        """All events that the facts require, in order; `report` is the state after them."""
        report = self.report
        discrepancies = report_discrepancies(report, self._policy)
        breaks, changed = update_breaks(report.breaks, discrepancies, report.report_id, self._at_ms)
        self.report = replace(report, breaks=breaks)
        for each in changed:
            self._emit_break(each)
        for deposit in self.report.deposits:
            if deposit.line_id in discrepancies and not deposit.posting_id:
                self._suspend(deposit)
        self._pay()
        for each in self.report.breaks:
            self._write_off(each)
        return self._events

    def _pay(self) -> None:
        """Mark the report as paid, once: its deposit leaves suspense, its lines are posted."""
        report = self.report
        matched = matched_deposit(report)
        fits = matched is not None and pays(matched, report)
        if report.paid or not report.is_complete or not (fits or self._was_decided(matched)):
            return
        self.report = replace(report, paid=True, paid_by=matched.line_id if matched else "")
        if matched is not None:
            self._undo_write_off(matched)
        if matched is not None and not matched.posting_id:
            self._emit(Type.DEPOSIT_MATCHED, matched)
        else:
            corrects = matched.posting_id if matched else None
            self._emit(Type.DEPOSIT_RECLASSIFIED, matched, corrects=corrects)

    def _undo_write_off(self, deposit: Deposit) -> None:
        """Reverse the write-off of a deposit whose report came later."""
        for each in self.report.breaks:
            if each.subject == deposit.line_id and each.write_off_event_id:
                amount_minor = -deposit.amount_minor
                self._emit(
                    Type.DIFFERENCE_WRITTEN_OFF,
                    deposit,
                    gross_minor=amount_minor,
                    expected_minor=0,
                    corrects=each.write_off_event_id,
                )

    def _was_decided(self, matched: Deposit | None) -> bool:
        subject = matched.line_id if matched else ""
        return any(
            each.subject == subject and each.is_final and each.kind in _PAID_BY_DECISION
            for each in self.report.breaks
        )

    def _suspend(self, deposit: Deposit) -> None:
        event = self._emit(Type.DEPOSIT_SUSPENDED, deposit)
        posted = replace(deposit, posting_id=event.event_id)
        deposits = tuple(
            posted if d.line_id == deposit.line_id else d for d in self.report.deposits
        )
        self.report = replace(self.report, deposits=deposits)

    def _write_off(self, each: Break) -> None:
        if each.state != BreakState.WRITTEN_OFF or each.write_off_event_id:
            return
        deposit = self._deposit_of(each)
        fields: dict[str, Any] = {"corrects": deposit.posting_id if deposit else None}
        if each.kind not in _PAID_BY_DECISION:
            fields["expected_minor"] = 0
        event = self._emit(Type.DIFFERENCE_WRITTEN_OFF, deposit, **fields)
        self._replace_break(replace(each, write_off_event_id=event.event_id))

    def _replace_break(self, changed: Break) -> None:
        self.report = replace(self.report, breaks=with_break(self.report.breaks, changed))

    def _deposit_of(self, each: Break) -> Deposit | None:
        return next((d for d in self.report.deposits if d.line_id == each.subject), None)

    def _emit_break(self, each: Break, **fields: Any) -> None:
        deposit = self._deposit_of(each) or matched_deposit(self.report)
        self._emit(
            Type.BREAK_OPENED if each.version == 1 else Type.BREAK_CHANGED,
            deposit,
            break_id=each.break_id,
            break_kind=each.kind,
            break_state=each.state,
            break_version=each.version,
            found_at_ms=each.found_at_ms,
            **({"actor": each.closed_by or None} | fields),
        )

    def _emit(self, kind: Type, deposit: Deposit | None, **fields: Any) -> ReconciliationEvent:
        report = self.report
        self.report = replace(report, sequence=report.sequence + 1)
        currency = report.currency or (deposit.currency if deposit else "")
        event = ReconciliationEvent(
            event_id=reconciliation_event_id(report.report_id, report.sequence + 1),
            subject_id=report.report_id,
            sequence=report.sequence + 1,
            type=kind,
            occurred_at_ms=self._at_ms,
            merchant_id="",
            payment_id="",
            mode=self._policy.mode_unknown,
            line_id=deposit.line_id if deposit else None,
            report_id=report.report_id,
            network=report.network or None,
            line_kind=BankLineKind.DEPOSIT,
            currency=deposit.currency if deposit else currency,
            gross_minor=deposit.amount_minor if deposit else 0,
            fee_minor=0,
            expected_currency=currency,
            expected_minor=report.net_minor,
        )
        self._events.append(replace(event, **fields) if fields else event)
        return self._events[-1]


def _with_deposit(report: ReportMatch, request: ReconciliationRequest) -> ReportMatch:
    deposit = Deposit(
        line_id=request.line_id or "",
        currency=request.currency or "",
        amount_minor=request.gross_minor or 0,
        booked_at_ms=request.published_at_ms or 0,
    )
    if any(known.line_id == deposit.line_id for known in report.deposits):
        return report
    return replace(report, deposits=(*report.deposits, deposit))


def _checked(report: ReportMatch, request: ReconciliationRequest) -> ReportMatch:
    return replace(report, checked_at_ms=max(report.checked_at_ms, request.issued_at_ms))


def is_done(report: ReportMatch) -> bool:
    """Whether nothing more is expected of the report, so that it may expire."""
    return report.paid and all(each.is_closed for each in report.breaks)
