"""Disputes: money that the customer's issuer claims back.

What the card schemes report about a dispute is a fact. It is recorded in every state of the payment
and at the amount that they report, which exchange rates may have moved above what was captured: the
money is gone, and the merchant's balance may become negative.
"""

from schemas.enums import EventType, RejectionReason
from schemas.ids import derived_id
from schemas.money import AMOUNT_MINOR_MAX
from schemas.records import PaymentCommand
from streams.domain.state import DisputeState, PaymentState
from streams.domain.transition import CommandContext


def open_dispute(context: CommandContext) -> RejectionReason | None:
    """The customer disputes a charge: the money is held until the dispute ends."""
    command = context.command
    dispute_id = command.dispute_id or derived_id("dsp_", command.command_id)
    if any(dispute.dispute_id == dispute_id for dispute in context.state.disputes):
        return RejectionReason.ALREADY_EXISTS
    return _open(context, dispute_id)


def _open(context: CommandContext, dispute_id: str) -> RejectionReason | None:
    """Without an amount of the network, all that is captured and not yet gone is disputed."""
    command, state = context.command, context.state
    if command.currency is not None and command.currency != state.currency:
        return RejectionReason.CURRENCY_INVALID
    amount_minor = command.amount_minor
    if amount_minor is None:
        amount_minor = state.refundable_minor
    if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
        return RejectionReason.AMOUNT_INVALID
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
    """An end that overtakes its beginning opens the dispute first, if it says the amount."""
    command = context.command
    if _overtakes(command, context.state) and (reason := _open(context, command.dispute_id or "")):
        return reason
    dispute = _open_dispute(context.state, command.dispute_id)
    if dispute is None:
        return RejectionReason.NO_SUCH_DISPUTE
    context.record_event(
        event_type,
        context.state.status,
        amount_minor=dispute.amount_minor,
        dispute_id=dispute.dispute_id,
    )
    return None


def _overtakes(command: PaymentCommand, state: PaymentState) -> bool:
    known = {dispute.dispute_id for dispute in state.disputes}
    named = command.dispute_id is not None and command.dispute_id not in known
    return named and command.amount_minor is not None


def _open_dispute(state: PaymentState, dispute_id: str | None) -> DisputeState | None:
    for dispute in state.disputes:
        if dispute.status == "open" and dispute.dispute_id == dispute_id:
            return dispute
    return None
