"""Refunds: captured money that goes back to the customer."""

from schemas.enums import EventType, Operation, RejectionReason
from schemas.ids import derived_id
from streams.domain.operations import new_operation
from streams.domain.transition import CommandContext


def refund(context: CommandContext) -> RejectionReason | None:
    """Ask for a refund of a part, or of all that can be refunded.

    Refunds in flight count as refunded, open and lost disputes as lost.
    """
    amount_minor = _amount_minor(context)
    if isinstance(amount_minor, RejectionReason):
        return amount_minor
    command, state = context.command, context.state
    refund_id = command.refund_id or derived_id("ref_", command.command_id)
    if any(operation.refund_id == refund_id for operation in state.operations):
        return RejectionReason.ALREADY_EXISTS
    operation = new_operation(context, Operation.REFUND, amount_minor, refund_id=refund_id)
    context.record_event(EventType.REFUND_REQUESTED, state.status, operation)
    context.request_operation(operation)
    return None


def _amount_minor(context: CommandContext) -> int | RejectionReason:
    """Amount of the refund, or why there is none."""
    state, command = context.state, context.command
    left_minor = state.refundable_minor
    amount_minor = left_minor if command.amount_minor is None else command.amount_minor
    if command.currency is not None and command.currency != state.currency:
        return RejectionReason.CURRENCY_INVALID
    if command.amount_minor is not None and amount_minor <= 0:
        return RejectionReason.AMOUNT_INVALID
    if amount_minor > left_minor or left_minor <= 0:
        return RejectionReason.AMOUNT_TOO_LARGE
    return amount_minor
