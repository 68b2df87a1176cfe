"""The network's reports and the bank's lines as records; inconsistent reports are rejected.

CSV: `H,report,network,day,currency,value day,published at` once, `L,…` per line in the order of
`LINE_FIELDS`, `T,lines,gross,fee,net` last. JSON: `{"report": {…}, "lines": [{…}]}`.
"""

import csv
import io
from collections.abc import Sequence

import msgspec

from schemas.records import BankLine, SettlementLine

LINE_FIELDS = (
    "line_id",
    "line_kind",
    "operation_id",
    "network_reference",
    "currency",
    "gross_minor",
    "fee_minor",
    "net_minor",
    "effective_at_ms",
)
_ROWS_MIN = 2  # head and trailer


class ReportRejected(ValueError):
    """A report cannot be read or is inconsistent; it is rejected as a whole."""


class ReportHead(msgspec.Struct, frozen=True, kw_only=True):
    """Head of a report; `lines` is a count."""

    report_id: str
    network: str
    day: str
    currency: str
    value_day: str
    published_at_ms: int
    lines: int
    gross_minor: int
    fee_minor: int
    net_minor: int


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a report."""

    line_id: str
    line_kind: str
    operation_id: str
    network_reference: str
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    effective_at_ms: int


class _JsonReport(msgspec.Struct, frozen=True):
    report: ReportHead
    lines: list[ReportRow]


class ReportList(msgspec.Struct, frozen=True):
    """The network's list of reports."""

    reports: list[ReportHead]


class _Statement(msgspec.Struct, frozen=True):
    lines: list[BankLine]


def read_json(data: bytes) -> list[SettlementLine]:
    """Lines of a JSON report. Raises ReportRejected."""
    try:
        found = msgspec.json.decode(data, type=_JsonReport)
    except msgspec.DecodeError as error:
        raise ReportRejected(f"The report cannot be read: {error}") from error
    return _lines(found.report, found.lines)


def read_csv(data: bytes) -> list[SettlementLine]:
    """Lines of a CSV report. Raises ReportRejected."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode()), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReportRejected(f"The report is not CSV: {error}") from error
    kinds = [row[0] if row else "" for row in rows]
    if len(rows) < _ROWS_MIN or kinds != ["H", *["L"] * (len(rows) - _ROWS_MIN), "T"]:
        raise ReportRejected("The report is not H, L…, T: it was cut off, or is no report.")
    try:
        head = _head(rows[0], rows[-1])
        lines = [msgspec.convert(_named(row), ReportRow, strict=False) for row in rows[1:-1]]
    except (ValueError, msgspec.ValidationError) as error:
        raise ReportRejected(f"The report cannot be read: {error}") from error
    return _lines(head, lines)


def _named(row: Sequence[str]) -> dict[str, str]:
    return dict(zip(LINE_FIELDS, row[1:], strict=True))


def _head(first: Sequence[str], last: Sequence[str]) -> ReportHead:
    names = ("report_id", "network", "day", "currency", "value_day", "published_at_ms")
    sums = ("lines", "gross_minor", "fee_minor", "net_minor")
    fields = dict(zip(names, first[1:], strict=True)) | dict(zip(sums, last[1:], strict=True))
    return msgspec.convert(fields, ReportHead, strict=False)


def _lines(head: ReportHead, rows: Sequence[ReportRow]) -> list[SettlementLine]:
    _check(head, rows)
    return [
        SettlementLine(
            line_id=row.line_id,
            report_id=head.report_id,
            network=head.network,
            report_day=head.day,
            line_kind=row.line_kind,
            operation_id=row.operation_id,
            network_reference=row.network_reference,
            currency=row.currency,
            gross_minor=row.gross_minor,
            fee_minor=row.fee_minor,
            net_minor=row.net_minor,
            value_day=head.value_day,
            effective_at_ms=row.effective_at_ms,
            published_at_ms=head.published_at_ms,
            report_lines=head.lines,
            report_net_minor=head.net_minor,
        )
        for row in rows
    ]


def _check(head: ReportHead, rows: Sequence[ReportRow]) -> None:
    """Count, sums, currency and the net of each line; ids are there once."""
    sums = tuple(
        sum(getattr(row, name) for row in rows)
        for name in ("gross_minor", "fee_minor", "net_minor")
    )
    stated = (head.gross_minor, head.fee_minor, head.net_minor)
    problems = {
        f"it has {len(rows)} lines, its head says {head.lines}": len(rows) != head.lines,
        f"its lines sum to {sums}, its head says {stated}": sums != stated,
        "a line's net is not its gross less its fee": any(
            row.net_minor != row.gross_minor - row.fee_minor for row in rows
        ),
        "a line has another currency": any(row.currency != head.currency for row in rows),
        "a line id occurs twice": len({row.line_id for row in rows}) != len(rows),
    }
    wrong = [problem for problem, found in problems.items() if found]
    if wrong:
        raise ReportRejected(f"Report {head.report_id} is rejected: {'; '.join(wrong)}.")


def read_list(data: bytes) -> list[ReportHead]:
    """The network's list of reports. Raises ReportRejected."""
    try:
        return msgspec.json.decode(data, type=ReportList).reports
    except msgspec.DecodeError as error:
        raise ReportRejected(f"The list of reports cannot be read: {error}") from error


def read_statement(data: bytes) -> list[BankLine]:
    """Lines of the bank's statement. Raises ReportRejected."""
    try:
        return msgspec.json.decode(data, type=_Statement).lines
    except msgspec.DecodeError as error:
        raise ReportRejected(f"The statement cannot be read: {error}") from error
