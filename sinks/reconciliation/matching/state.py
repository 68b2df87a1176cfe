"""Entries of the table `matching` (pure).

| key | entry | partition |
|---|---|---|
| `line:{line id}` | SeenLine: a line that was read | of the line id |
| `payment:{subject}` | PaymentMatch: operations of a payment and their lines | of the payment id |
| `report:{report id}` | ReportMatch: a report's sum and its deposits | of the report id |
| `report:{report id}#{n}` | ReportPage n of the report's lines | of the report id |
"""

import msgspec

from schemas.enums import BreakState

SYSTEM = "reconciliation"
"""Closes a break when the other side came after all."""
PAYMENT_PREFIX = "pay_"


class SeenLine(msgspec.Struct, frozen=True, array_like=True, tag="seen"):
    """A line of a report or statement that was read; `digest` is of its content."""

    digest: str
    published_at_ms: int


class Expected(msgspec.Struct, frozen=True, array_like=True):
    """The ledger's side: an operation that succeeded; above 0 is money received."""

    kind: str
    currency: str
    amount_minor: int
    occurred_at_ms: int


class Line(msgspec.Struct, frozen=True, array_like=True):
    """The network's side; `paid` when the bank has the money of its report.

    `posted` is the type of its last posting, `posting_id` that event; both empty before.
    """

    line_id: str
    report_id: str
    network: str
    kind: str
    network_reference: str
    currency: str
    gross_minor: int
    fee_minor: int
    published_at_ms: int
    paid: bool = False
    posted: str = ""
    posting_id: str = ""


class Break(msgspec.Struct, frozen=True, array_like=True):
    """A difference; `subject` is the line's id, or empty where a side is missing or late."""

    break_id: str
    subject: str
    kind: str
    state: str
    version: int
    found_at_ms: int
    closed_by: str = ""
    write_off_event_id: str = ""
    """Event that posted its write-off."""

    @property
    def is_final(self) -> bool:
        """An operator has closed it: it is never opened again."""
        return self.is_closed and self.closed_by != SYSTEM

    @property
    def is_closed(self) -> bool:
        """Resolved or written off, by an operator or by the system."""
        return self.state in (BreakState.RESOLVED, BreakState.WRITTEN_OFF)


class OperationMatch(msgspec.Struct, frozen=True, array_like=True):
    """One operation: the ledger's side, the lines that name it, and how they differ."""

    operation_id: str
    expected: Expected | None = None
    lines: tuple[Line, ...] = ()
    breaks: tuple[Break, ...] = ()
    corrected: bool = False
    """Whether the settlement posting of another source was corrected for this operation."""


class PaymentMatch(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="payment"):
    """A payment's operations, and what is known of the payment itself."""

    subject_id: str
    merchant_id: str = ""
    mode: str = ""
    status: str = ""
    captured_minor: int = 0
    payment_sequence: int = 0
    """Newest event of the payment that was read."""
    settled_by: str = ""
    """Source of the command that settled the payment; empty before."""
    settled_event_id: str = ""
    settle_attempts: int = 0
    settle_pending: bool = False
    operations: tuple[OperationMatch, ...] = ()
    sequence: int = 0
    checked_at_ms: int = 0
    changed_at_ms: int = 0


class Deposit(msgspec.Struct, frozen=True, array_like=True):
    """A statement line that names the report; `posting_id` once it is in suspense."""

    line_id: str
    currency: str
    amount_minor: int
    booked_at_ms: int
    posting_id: str = ""


class ReportMatch(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="report"):
    """A report: what its lines sum to, and the deposits that name it."""

    report_id: str
    network: str = ""
    currency: str = ""
    lines_expected: int = 0
    lines_seen: int = 0
    net_minor: int = 0
    published_at_ms: int = 0
    pages: int = 0
    recent: tuple[tuple[str, str, str], ...] = ()
    """(subject, operation id, line id) of lines that are in no page yet."""
    deposits: tuple[Deposit, ...] = ()
    breaks: tuple[Break, ...] = ()
    paid: bool = False
    paid_by: str = ""
    """Line id of the deposit that paid it; empty if an operator said so without one."""
    sequence: int = 0
    checked_at_ms: int = 0
    changed_at_ms: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every line of the report was seen."""
        return 0 < self.lines_expected <= self.lines_seen


class ReportPage(msgspec.Struct, frozen=True, array_like=True, tag="page"):
    """Lines of a report as in `ReportMatch.recent`, so that one more never rewrites all."""

    published_at_ms: int
    lines: tuple[tuple[str, str, str], ...]


Entry = SeenLine | PaymentMatch | ReportMatch | ReportPage

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


def line_key(line_id: str) -> str:
    """Table key of a line that was read."""
    return f"line:{line_id}"


def payment_key(subject_id: str) -> str:
    """Table key of a payment's operations."""
    return f"payment:{subject_id}"


def report_key(report_id: str, page: int | None = None) -> str:
    """Table key of a report, or of the nth page of its lines."""
    return f"report:{report_id}" if page is None else f"report:{report_id}#{page}"


def subject_of(operation_id: str, line_id: str) -> str:
    """The key of a line's record: the payment of its operation, or the line itself."""
    payment_id = operation_id.partition(":")[0]
    return payment_id if payment_id.startswith(PAYMENT_PREFIX) else line_id
