"""Overdue entries: a request to check each entry whose other side has not come in time."""

from schemas.envelopes import to_message
from sinks.reconciliation.matching.outcome import overdue_check_request
from sinks.reconciliation.matching.state import PaymentMatch, ReportMatch
from sinks.reconciliation.report_poller import GROUP
from sinks.reconciliation.settings import ReconciliationSettings
from workers.due_commands import DueCommands, DueLimits, DueRecord, DueTable
from workers.send import Send


def overdue_checks(table: DueTable, send: Send, settings: ReconciliationSettings) -> DueCommands:
    """Requests a check of what is overdue."""
    limits = DueLimits(settings.overdue_checks_max, settings.resend_after_seconds)
    return DueCommands(table, to_record, send, limits)


def to_record(key: str, entry: PaymentMatch | ReportMatch, now_ms: int) -> DueRecord:
    """The request to check an entry; an entry has one at a time."""
    of_report = isinstance(entry, ReportMatch)
    subject_id = entry.report_id if isinstance(entry, ReportMatch) else entry.subject_id
    request = overdue_check_request(subject_id, now_ms, of_report=of_report)
    return DueRecord(key, *to_message(request, GROUP))
