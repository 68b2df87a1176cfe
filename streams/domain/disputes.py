"""Disputes: captured money that the customer's issuer claims back."""

from schemas.enums import EventType, RejectionReason
from schemas.ids import derived_id
from streams.domain.refunds import part_of_captured_minor
from streams.domain.state import DisputeState, PaymentState
from streams.domain.transition import CommandContext


def open_dispute(context: CommandContext) -> RejectionReason | None:
    """The customer disputes a charge: the money is held until the dispute ends."""
    amount_minor = part_of_captured_minor(context)
    if isinstance(amount_minor, RejectionReason):
        return amount_minor
    command, state = context.command, context.state
    dispute_id = command.dispute_id or derived_id("dsp_", command.command_id)
    if any(dispute.dispute_id == dispute_id for dispute in state.disputes):
        return RejectionReason.ALREADY_EXISTS
    context.record_event(
        EventType.DISPUTE_OPENED, state.status, amount_minor=amount_minor, dispute_id=dispute_id
    )
    return None


def win_dispute(context: CommandContext) -> RejectionReason | None:
    """The merchant was right: the money is free again."""
    return _close(context, EventType.DISPUTE_WON)


def lose_dispute(context: CommandContext) -> RejectionReason | None:
    """The customer was right: the money is gone."""
    return _close(context, EventType.DISPUTE_LOST)


def _close(context: CommandContext, event_type: EventType) -> RejectionReason | None:
    dispute = _open_dispute(context.state, context.command.dispute_id)
    if dispute is None:
        return RejectionReason.NO_SUCH_DISPUTE
    context.record_event(
        event_type,
        context.state.status,
        amount_minor=dispute.amount_minor,
        dispute_id=dispute.dispute_id,
    )
    return None


def _open_dispute(state: PaymentState, dispute_id: str | None) -> DisputeState | None:
    for dispute in state.disputes:
        if dispute.status == "open" and dispute.dispute_id == dispute_id:
            return dispute
    return None
