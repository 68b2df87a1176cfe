"""Output of the aggregates: events, commands and requests, all derived from the input (pure)."""

from dataclasses import dataclass, field

from schemas.enums import CommandKind, Source
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.ids import command_id, derived_id, fingerprint
from schemas.records import PaymentCommand, ReconciliationEvent, ReconciliationRequest
from sinks.reconciliation.matching.state import PaymentMatch


@dataclass
class Outcome:
    """Records to emit in the transaction of the record that led to them."""

    events: list[ReconciliationEvent] = field(default_factory=list)
    commands: list[PaymentCommand] = field(default_factory=list)
    requests: list[ReconciliationRequest] = field(default_factory=list)


def reconciliation_event_id(subject_id: str, sequence: int) -> str:
    """Identity of the nth event of a payment or report; its ledger transaction has the same."""
    return derived_id("rcn_", subject_id, str(sequence))


def settle_command(match: PaymentMatch, at_ms: int) -> PaymentCommand:
    """The command that settles a payment; each attempt has an id of its own."""
    key = f"settlement:{match.settle_attempts}"
    return PaymentCommand(
        command_id=command_id(match.subject_id, CommandKind.SETTLE, key),
        payment_id=match.subject_id,
        merchant_id=match.merchant_id,
        mode=match.mode,
        kind=CommandKind.SETTLE,
        fingerprint=fingerprint({"kind": CommandKind.SETTLE, "key": key}),
        issued_at_ms=at_ms,
        source=Source.RECONCILIATION,
    )


def report_paid_request(
    report_id: str, line: tuple[str, str, str], at_ms: int
) -> ReconciliationRequest:
    """Reports to the operation of a line that the bank has the money of its report."""
    subject_id, operation_id, line_id = line
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.REPORT_PAID, line_id),
        subject_id=subject_id,
        kind=Kind.REPORT_PAID,
        issued_at_ms=at_ms,
        source=Source.RECONCILIATION,
        line_id=line_id,
        report_id=report_id,
        operation_id=operation_id,
    )


def notify_lines_request(report_id: str, page: int, at_ms: int) -> ReconciliationRequest:
    """Requests a `report_paid` for each line on one page of a report."""
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.NOTIFY_LINES, report_id, str(page)),
        subject_id=report_id,
        kind=Kind.NOTIFY_LINES,
        issued_at_ms=at_ms,
        source=Source.RECONCILIATION,
        report_id=report_id,
        page=page,
    )


def overdue_check_request(subject_id: str, at_ms: int, *, of_report: bool) -> ReconciliationRequest:
    """Requests a check of an overdue payment or report."""
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.CHECK_OVERDUE, subject_id, str(at_ms)),
        subject_id=subject_id,
        kind=Kind.CHECK_OVERDUE,
        issued_at_ms=at_ms,
        source=Source.DEADLINES,
        report_id=subject_id if of_report else None,
    )


def is_about_report(request: ReconciliationRequest) -> bool:
    """Whether a request goes to ReportAggregate, else to PaymentAggregate."""
    if request.kind in (Kind.CHECK_OVERDUE, Kind.DECIDE):
        return request.operation_id is None and request.report_id is not None
    return request.kind in (Kind.REPORT_LINE, Kind.DEPOSIT, Kind.NOTIFY_LINES)
