"""Refunds, settlement and disputes: what becomes of captured money."""

from schemas.enums import EventType, Operation, PaymentStatus, RejectionReason
from schemas.ids import derived_id
from streams.domain.operations import new_operation
from streams.domain.state import DisputeState, PaymentState
from streams.domain.transition import CommandContext


def refund(turn: CommandContext) -> RejectionReason | None:
    """Ask for a refund of a part, or of all that can be given back.

    Refunds in flight count as given, open and lost disputes as taken.
    """
    amount_minor = _part_of_captured(turn)
    if isinstance(amount_minor, RejectionReason):
        return amount_minor
    command, state = turn.command, turn.state
    refund_id = command.refund_id or derived_id("ref_", command.command_id)
    if any(operation.refund_id == refund_id for operation in state.operations):
        return RejectionReason.ALREADY_EXISTS
    operation = new_operation(turn, Operation.REFUND, amount_minor, refund_id=refund_id)
    turn.happened(EventType.REFUND_REQUESTED, state.status, operation)
    turn.ask(operation)
    return None


def _part_of_captured(turn: CommandContext) -> int | RejectionReason:
    """Amount of a refund or dispute, or why there is none."""
    state, command = turn.state, turn.command
    left_minor = state.refundable_minor
    amount_minor = left_minor if command.amount_minor is None else command.amount_minor
    if command.currency is not None and command.currency != state.currency:
        return RejectionReason.CURRENCY_INVALID
    if command.amount_minor is not None and amount_minor <= 0:
        return RejectionReason.AMOUNT_INVALID
    if amount_minor > left_minor or left_minor <= 0:
        return RejectionReason.AMOUNT_TOO_LARGE
    return amount_minor


def settle(turn: CommandContext) -> RejectionReason | None:
    """The network has paid us what was captured."""
    turn.happened(EventType.SETTLED, PaymentStatus.SETTLED, amount_minor=turn.state.captured_minor)
    return None


def settlement_due(turn: CommandContext) -> RejectionReason | None:
    """The network has not paid in time: told once, to be followed up by people."""
    state = turn.state
    if state.settlement_due_at_ms is None or turn.now_ms < state.settlement_due_at_ms:
        return RejectionReason.NOT_DUE
    turn.happened(EventType.SETTLEMENT_OVERDUE, state.status, amount_minor=state.captured_minor)
    return None


def open_dispute(turn: CommandContext) -> RejectionReason | None:
    """The customer disputes a charge: the money is held until the dispute ends."""
    amount_minor = _part_of_captured(turn)
    if isinstance(amount_minor, RejectionReason):
        return amount_minor
    command, state = turn.command, turn.state
    dispute_id = command.dispute_id or derived_id("dsp_", command.command_id)
    if any(dispute.dispute_id == dispute_id for dispute in state.disputes):
        return RejectionReason.ALREADY_EXISTS
    turn.happened(
        EventType.DISPUTE_OPENED, state.status, amount_minor=amount_minor, dispute_id=dispute_id
    )
    return None


def win_dispute(turn: CommandContext) -> RejectionReason | None:
    """The merchant was right: the money is free again."""
    return _close(turn, EventType.DISPUTE_WON)


def lose_dispute(turn: CommandContext) -> RejectionReason | None:
    """The customer was right: the money is gone."""
    return _close(turn, EventType.DISPUTE_LOST)


def _close(turn: CommandContext, event_type: EventType) -> RejectionReason | None:
    dispute = _open_dispute(turn.state, turn.command.dispute_id)
    if dispute is None:
        return RejectionReason.NO_SUCH_DISPUTE
    turn.happened(
        event_type,
        turn.state.status,
        amount_minor=dispute.amount_minor,
        dispute_id=dispute.dispute_id,
    )
    return None


def _open_dispute(state: PaymentState, dispute_id: str | None) -> DisputeState | None:
    for dispute in state.disputes:
        if dispute.status == "open" and dispute.dispute_id == dispute_id:
            return dispute
    return None
