"""The ledger's operations and the network's lines, per payment (pure).

Laws: each operation is settled by one line at most; a line is posted only when the bank has the
money of its report; the postings and open breaks do not depend on the order of the three sources;
a repeated fact changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from schemas.enums import CommandKind, Operation, PaymentStatus, Source
from schemas.enums import EventType as PaymentEventType
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.records import PaymentEvent, ReconciliationRequest
from sinks.reconciliation.matching.outcome import Outcome, settle_command
from sinks.reconciliation.matching.postings import PaymentReconciler
from sinks.reconciliation.matching.rules import FINAL_POSTINGS, MatchingPolicy
from sinks.reconciliation.matching.state import (
    Expected,
    Line,
    OperationMatch,
    PaymentMatch,
    payment_key,
    subject_of,
)

if TYPE_CHECKING:
    from engine import TableView

_SIGNS = {
    PaymentEventType.CAPTURED: (Operation.CAPTURE, 1),
    PaymentEventType.REFUND_SUCCEEDED: (Operation.REFUND, -1),
}


class PaymentAggregate:
    """Payment events and requests of one table partition, in order."""

    def __init__(self, table: TableView[Any], policy: MatchingPolicy) -> None:
        self._table = table
        self._policy = policy
        self._handlers: dict[str, Callable[[PaymentMatch, ReconciliationRequest], PaymentMatch]] = {
            Kind.LINE: _with_line,
            Kind.REPORT_PAID: _with_report_paid,
            Kind.CHECK_OVERDUE: lambda match, request: match,
        }

    def payment(self, event: PaymentEvent) -> Outcome:
        """Apply an event: the expected side of an operation, or the payment's status."""
        if not event.captured_minor:
            return Outcome()
        match = self._match(event.payment_id)
        if event.sequence <= match.payment_sequence:
            return Outcome()
        return self._store(match, _with_event(match, event), event.occurred_at_ms)

    def request(self, request: ReconciliationRequest) -> Outcome:
        """Apply a line, a `report_paid`, an overdue check or a decision about a break."""
        match = self._match(request.subject_id)
        if request.kind == Kind.DECIDE:
            reconciler = PaymentReconciler(match, self._policy, request.issued_at_ms)
            reconciler.decide(request)
            return self._close(match, reconciler)
        changed = self._handlers[request.kind](match, request)
        checked_at_ms = max(match.checked_at_ms, request.issued_at_ms)
        if request.kind == Kind.CHECK_OVERDUE:
            changed = replace(changed, checked_at_ms=checked_at_ms)
        return self._store(match, changed, request.issued_at_ms)

    def _match(self, subject_id: str) -> PaymentMatch:
        found: PaymentMatch | None = self._table.get(payment_key(subject_id))
        return found or PaymentMatch(subject_id=subject_id)

    def _store(self, before: PaymentMatch, changed: PaymentMatch, at_ms: int) -> Outcome:
        if changed == before:
            return Outcome()
        return self._close(before, PaymentReconciler(changed, self._policy, at_ms))

    def _close(self, before: PaymentMatch, reconciler: PaymentReconciler) -> Outcome:
        outcome = Outcome(events=reconciler.reconcile())
        match = reconciler.match
        if _can_settle(match, self._policy):
            match = replace(match, settle_attempts=match.settle_attempts + 1, settle_pending=True)
            outcome.commands.append(settle_command(match, reconciler.at_ms))
        if match != before:
            changed_at_ms = max(match.changed_at_ms, reconciler.at_ms)
            self._table[payment_key(match.subject_id)] = replace(match, changed_at_ms=changed_at_ms)
        return outcome


def _with_event(match: PaymentMatch, event: PaymentEvent) -> PaymentMatch:
    changed = replace(
        match,
        merchant_id=event.merchant_id,
        mode=event.mode,
        status=event.status,
        captured_minor=event.captured_minor,
        payment_sequence=event.sequence,
    )
    if event.type in _SIGNS and event.operation_id:
        kind, sign = _SIGNS[PaymentEventType(event.type)]
        expected = Expected(kind, event.currency, sign * event.amount_minor, event.occurred_at_ms)
        operation = _operation(changed, event.operation_id)
        if operation.expected is None:
            return _with_operation(changed, replace(operation, expected=expected))
    if event.type == PaymentEventType.SETTLED:
        return replace(
            changed,
            settled_by=event.source,
            settled_event_id=event.event_id,
            settle_pending=False,
        )
    if event.type == PaymentEventType.COMMAND_REJECTED and _is_our_settle(event):
        return replace(changed, settle_pending=False)
    return changed


def _is_our_settle(event: PaymentEvent) -> bool:
    return event.command_kind == CommandKind.SETTLE and event.source == Source.RECONCILIATION


def _with_line(match: PaymentMatch, request: ReconciliationRequest) -> PaymentMatch:
    operation = _operation(match, _operation_id(request))
    if any(line.line_id == request.line_id for line in operation.lines):
        return match
    line = Line(
        line_id=request.line_id or "",
        report_id=request.report_id or "",
        network=request.network or "",
        kind=request.line_kind or "",
        network_reference=request.network_reference or "",
        currency=request.currency or "",
        gross_minor=request.gross_minor or 0,
        fee_minor=request.fee_minor or 0,
        published_at_ms=request.published_at_ms or 0,
    )
    return _with_operation(match, replace(operation, lines=(*operation.lines, line)))


def _with_report_paid(match: PaymentMatch, request: ReconciliationRequest) -> PaymentMatch:
    operation = _operation(match, _operation_id(request))
    lines = tuple(
        replace(line, paid=True) if line.line_id == request.line_id else line
        for line in operation.lines
    )
    return _with_operation(match, replace(operation, lines=lines)) if lines else match


def _operation_id(request: ReconciliationRequest) -> str:
    """The operation; a line that names none is an operation of its own."""
    return request.operation_id or request.line_id or ""


def _operation(match: PaymentMatch, operation_id: str) -> OperationMatch:
    known = (o for o in match.operations if o.operation_id == operation_id)
    return next(known, OperationMatch(operation_id))


def _with_operation(match: PaymentMatch, changed: OperationMatch) -> PaymentMatch:
    others = tuple(o for o in match.operations if o.operation_id != changed.operation_id)
    return replace(match, operations=(*others, changed))


def _can_settle(match: PaymentMatch, policy: MatchingPolicy) -> bool:
    """Whether all captures are paid and the payment is not settled yet."""
    done = match.settle_pending or bool(match.settled_by)
    if done or match.status != PaymentStatus.CAPTURED:
        return False
    if match.settle_attempts >= policy.settle_attempts_max:
        return False
    return match.captured_minor == _settled_minor(match)


def _settled_minor(match: PaymentMatch) -> int:
    return sum(
        operation.expected.amount_minor
        for operation in match.operations
        if operation.expected is not None
        and operation.expected.kind == Operation.CAPTURE
        and any(line.posted in FINAL_POSTINGS for line in operation.lines)
    )


def is_done(match: PaymentMatch) -> bool:
    """Whether nothing more is expected of the payment, so that it may expire."""
    return bool(match.settled_by) and all(
        any(line.posted in FINAL_POSTINGS for line in operation.lines)
        and all(each.is_closed for each in operation.breaks)
        for operation in match.operations
    )


__all__ = ["PaymentAggregate", "is_done", "subject_of"]
