"""Lines of reports and statements: requests to their operation and report, once each (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from schemas.enums import BankLineKind, Source
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.ids import derived_id, fingerprint
from schemas.records import BankLine, ReconciliationRequest, SettlementLine
from sinks.reconciliation.matching.state import SeenLine, line_key, subject_of

if TYPE_CHECKING:
    from engine import TableView

_DIGEST_CHARACTERS = 12


def requests_of_line(table: TableView[Any], line: SettlementLine) -> list[ReconciliationRequest]:
    """The line to its operation and to its report; nothing if it was seen before.

    A line that comes again with other content is one more line, which no report pays.
    """
    digest = _digest(line)
    line_id = _new_line_id(table, line.line_id, digest, line.published_at_ms)
    if line_id is None:
        return []
    to_operation = ReconciliationRequest(
        request_id=derived_id("rr_", Kind.LINE, line_id),
        subject_id=subject_of(line.operation_id, line_id),
        kind=Kind.LINE,
        issued_at_ms=line.published_at_ms,
        source=Source.NETWORK,
        line_id=line_id,
        report_id=line.report_id,
        network=line.network,
        line_kind=line.line_kind,
        operation_id=line.operation_id or None,
        network_reference=line.network_reference,
        currency=line.currency,
        gross_minor=line.gross_minor,
        fee_minor=line.fee_minor,
        published_at_ms=line.published_at_ms,
        report_lines=line.report_lines,
        report_net_minor=line.report_net_minor,
    )
    if line_id != line.line_id:
        return [to_operation]
    to_report = msgspec.structs.replace(
        to_operation,
        request_id=derived_id("rr_", Kind.REPORT_LINE, line_id),
        subject_id=line.report_id,
        kind=Kind.REPORT_LINE,
    )
    return [to_operation, to_report]


def requests_of_statement_line(
    table: TableView[Any], line: BankLine
) -> list[ReconciliationRequest]:
    """A deposit to its report; nothing if it was seen before, or is a payout."""
    if line.line_kind != BankLineKind.DEPOSIT:
        return []
    line_id = _new_line_id(table, line.line_id, _digest(line), line.booked_at_ms)
    if line_id is None:
        return []
    return [
        ReconciliationRequest(
            request_id=derived_id("rr_", Kind.DEPOSIT, line_id),
            subject_id=line.reference or line_id,
            kind=Kind.DEPOSIT,
            issued_at_ms=line.booked_at_ms,
            source=Source.BANK,
            line_id=line_id,
            report_id=line.reference or line_id,
            line_kind=line.line_kind,
            currency=line.currency,
            gross_minor=line.amount_minor,
            published_at_ms=line.booked_at_ms,
        )
    ]


def _digest(line: SettlementLine | BankLine) -> str:
    return fingerprint(msgspec.structs.asdict(line))[:_DIGEST_CHARACTERS]


def _new_line_id(table: TableView[Any], line_id: str, digest: str, at_ms: int) -> str | None:
    """The id of a new line; None if the same line was seen before."""
    seen: SeenLine | None = table.get(line_key(line_id))
    if seen is not None:
        if seen.digest == digest:
            return None
        line_id = f"{line_id}~{digest}"
        if table.get(line_key(line_id)) is not None:
            return None
    table[line_key(line_id)] = SeenLine(digest, at_ms)
    return line_id
