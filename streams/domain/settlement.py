"""Settlement: the card network pays what was captured, or is overdue."""

from schemas.enums import EventType, PaymentStatus, RejectionReason
from streams.domain.transition import CommandContext


def settle(context: CommandContext) -> RejectionReason | None:
    """The network has paid us what was captured."""
    context.record_event(
        EventType.SETTLED, PaymentStatus.SETTLED, amount_minor=context.state.captured_minor
    )
    return None


def settlement_due(context: CommandContext) -> RejectionReason | None:
    """The network has not paid in time: one event, for people to follow up."""
    state = context.state
    if state.settlement_due_at_ms is None or context.now_ms < state.settlement_due_at_ms:
        return RejectionReason.NOT_DUE
    context.record_event(
        EventType.SETTLEMENT_OVERDUE, state.status, amount_minor=state.captured_minor
    )
    return None
