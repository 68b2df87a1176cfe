"""What the folds give out: events, commands, requests; all derived from what came in (pure)."""

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
    """The command that the network has paid all that was captured; the nth try has an own id."""
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


def paid_request(report_id: str, line: tuple[str, str, str], at_ms: int) -> ReconciliationRequest:
    """The bank has the money of a report: so says each of its lines to its operation."""
    subject_id, operation_id, line_id = line
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.PAID, line_id),
        subject_id=subject_id,
        kind=Kind.PAID,
        issued_at_ms=at_ms,
        source=Source.RECONCILIATION,
        line_id=line_id,
        report_id=report_id,
        operation_id=operation_id,
    )


def fan_out_request(report_id: str, page: int, at_ms: int) -> ReconciliationRequest:
    """Tell the operations of one page of a report's lines that it is paid."""
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.FAN_OUT, report_id, str(page)),
        subject_id=report_id,
        kind=Kind.FAN_OUT,
        issued_at_ms=at_ms,
        source=Source.RECONCILIATION,
        report_id=report_id,
        page=page,
    )


def overdue_check_request(subject_id: str, at_ms: int, *, of_report: bool) -> ReconciliationRequest:
    """A deadline of a payment or report has passed."""
    return ReconciliationRequest(
        request_id=derived_id("rr_", Kind.LOOK, subject_id, str(at_ms)),
        subject_id=subject_id,
        kind=Kind.LOOK,
        issued_at_ms=at_ms,
        source=Source.DEADLINES,
        report_id=subject_id if of_report else None,
    )


def is_about_report(request: ReconciliationRequest) -> bool:
    """Whether a request goes to the fold of reports, else to that of payments."""
    if request.kind in (Kind.LOOK, Kind.DECIDE):
        return request.operation_id is None and request.report_id is not None
    return request.kind in (Kind.REPORT_LINE, Kind.DEPOSIT, Kind.FAN_OUT)
