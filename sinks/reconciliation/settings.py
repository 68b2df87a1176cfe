"""Settings of reconciliation: section [reconciliation], PAYSTREAM_RECONCILIATION_*."""

from typing import Annotated, Literal

import msgspec

from sinks.reconciliation.matching.rules import MatchingPolicy

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class ReconciliationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Delays, bounds and how reports are read; the defaults are for production."""

    poll_seconds: PositiveSeconds = 300.0
    """How often the network and the bank are asked for what is new."""
    lookback_days: Positive = 14
    """Reports and statements of so many days are read again after a restart."""
    report_format: Literal["csv", "json"] = "csv"
    """Which form of the network's reports is read."""
    read_timeout_seconds: PositiveSeconds = 60.0
    answer_bytes_max: Positive = 268_435_456
    """A longer report or statement is refused, not read in part."""
    sends_at_once_max: Positive = 500
    """Lines that are on their way to Kafka at a time."""
    statement_lines_remembered_max: Positive = 200_000
    """Bookings that are not sent again while the process lives; sent twice, they count once."""

    report_due_seconds: Positive = 3 * 86_400
    """An operation that the network has not reported by then is missing; later it is late."""
    ledger_entry_due_seconds: Positive = 3_600
    """A line of an operation, or a deposit of a report, that we do not know by then is missing."""
    deposit_due_seconds: Positive = 3 * 86_400
    """A report that the bank has no deposit of by then is not paid; later the deposit is late."""
    remember_seconds: Positive = 180 * 86_400
    """So long lines and payments that are done stay known, to find what comes twice."""
    settle_attempts_max: Positive = 20
    """Settle commands per payment that may be refused because an outcome is pending."""
    page_lines: Positive = 500
    """Lines of a report per table entry, and told per transaction when it is paid."""

    overdue_check_interval_seconds: PositiveSeconds = 1.0
    """How often the table is asked what is overdue."""
    overdue_checks_max: Positive = 500
    """Overdue entries looked at per interval; the rest waits for the next."""
    resend_after_seconds: PositiveSeconds = 30.0
    """A look that had no effect yet is not sent again before this."""

    def policy(self) -> MatchingPolicy:
        """The rules of matching."""
        return MatchingPolicy(
            report_due_seconds=self.report_due_seconds,
            ledger_entry_due_seconds=self.ledger_entry_due_seconds,
            deposit_due_seconds=self.deposit_due_seconds,
            remember_seconds=self.remember_seconds,
            settle_attempts_max=self.settle_attempts_max,
            page_lines=self.page_lines,
        )
