"""When an entry of the table may go (pure)."""

from sinks.reconciliation import matching, matching_reports
from sinks.reconciliation.matching_rules import MatchingPolicy
from sinks.reconciliation.matching_state import PaymentMatch, ReportMatch, ReportPage, SeenLine


def forgotten_at_ms(entry: object, policy: MatchingPolicy) -> int | None:
    """When an entry is forgotten; None while something is expected of it."""
    match entry:
        case SeenLine() | ReportPage():
            return policy.forgotten_at_ms(entry.published_at_ms)
        case PaymentMatch() if matching.is_done(entry):
            return policy.forgotten_at_ms(entry.changed_at_ms)
        case ReportMatch() if matching_reports.is_done(entry):
            return policy.forgotten_at_ms(entry.changed_at_ms)
    return None
