"""Settings of reconciliation: section [reconciliation], PAYSTREAM_RECONCILIATION_*."""

from typing import Annotated, Literal

import msgspec

from sinks.reconciliation.matching.rules import MatchingPolicy

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class ReconciliationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Delays, bounds and how reports are read; the defaults are for production."""

    poll_seconds: PositiveSeconds = 300.0
    """How often the network and the bank are polled."""
    lookback_days: Positive = 14
    """Reports and statements of this many days are read again after a restart."""
    report_format: Literal["csv", "json"] = "csv"
    """Format of the network's reports."""
    read_timeout_seconds: PositiveSeconds = 60.0
    response_bytes_max: Positive = 268_435_456
    """A longer report or statement is rejected as a whole."""
    sends_at_once_max: Positive = 500
    """Lines in flight to Kafka at a time."""
    statement_lines_remembered_max: Positive = 200_000
    """Statement lines that the process remembers as sent; a line that is sent twice counts once."""

    report_due_seconds: Positive = 3 * 86_400
    """An operation that the network has not reported by then is missing; later it is late."""
    ledger_entry_due_seconds: Positive = 3_600
    """A line or deposit whose operation or report is not known by then is missing in the ledger."""
    deposit_due_seconds: Positive = 3 * 86_400
    """A report without a deposit by then is not paid; if the deposit comes later, it is late."""
    remember_seconds: Positive = 180 * 86_400
    """How long finished lines and payments are remembered, to find duplicates."""
    settle_attempts_max: Positive = 20
    """Settle commands per payment that may be rejected because an outcome is pending."""
    page_lines: Positive = 500
    """Lines of a report per table entry, and notified per transaction when it is paid."""

    overdue_check_interval_seconds: PositiveSeconds = 1.0
    """How often the table is checked for overdue entries."""
    overdue_checks_max: Positive = 500
    """Overdue entries checked per interval; the rest waits for the next."""
    resend_after_seconds: PositiveSeconds = 30.0
    """A check without visible effect is not requested again before this."""

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
