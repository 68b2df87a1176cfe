"""When an entry of the table expires (pure)."""

from sinks.reconciliation.matching import payments, reports
from sinks.reconciliation.matching.rules import MatchingPolicy
from sinks.reconciliation.matching.state import PaymentMatch, ReportMatch, ReportPage, SeenLine


def retained_until_ms(entry: object, policy: MatchingPolicy) -> int | None:
    """When an entry expires; None while something is expected of it."""
    match entry:
        case SeenLine() | ReportPage():
            return policy.retained_until_ms(entry.published_at_ms)
        case PaymentMatch() if payments.is_done(entry):
            return policy.retained_until_ms(entry.changed_at_ms)
        case ReportMatch() if reports.is_done(entry):
            return policy.retained_until_ms(entry.changed_at_ms)
    return None
