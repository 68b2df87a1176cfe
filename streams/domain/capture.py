"""Captures, voids and expiry of an authorization.

The fee is that of the captured sum, in however many parts it was captured: each capture takes what
its sum costs more than the sum before. The fixed part is in it once. The fee is never above the
captured sum, and it is not returned at a refund.
"""

from schemas.enums import EventType, Operation, PaymentStatus, RejectionReason
from schemas.money import fee_minor
from streams.domain.operations import new_operation
from streams.domain.state import OperationState, PaymentState, idle_status
from streams.domain.transition import CommandContext

_CAPTURE, _CAPTURING = Operation.CAPTURE, PaymentStatus.CAPTURING
_CAPTURE_REQUESTED = EventType.CAPTURE_REQUESTED


def capture(context: CommandContext) -> RejectionReason | None:
    """Ask for a part of the authorization, or for all that is left of it."""
    state, command = context.state, context.command
    if command.currency is not None and command.currency != state.currency:
        return RejectionReason.CURRENCY_INVALID
    left_minor = state.capturable_minor
    amount_minor = left_minor if command.amount_minor is None else command.amount_minor
    if amount_minor <= 0:
        return RejectionReason.AMOUNT_INVALID
    if amount_minor > left_minor:
        return RejectionReason.AMOUNT_TOO_LARGE
    request_capture(context, amount_minor, final=bool(command.final))
    return None


def capture_due(context: CommandContext) -> RejectionReason | None:
    """The delay of a background capture is over."""
    due_at_ms = context.state.capture_due_at_ms
    if due_at_ms is None or context.now_ms < due_at_ms:
        return RejectionReason.NOT_DUE
    request_capture(context, context.state.capturable_minor)
    return None


def request_capture(context: CommandContext, amount_minor: int, *, final: bool = False) -> None:
    """Record and request a valid capture."""
    operation = new_operation(context, _CAPTURE, amount_minor, final=final)
    context.record_event(_CAPTURE_REQUESTED, _CAPTURING, operation)
    context.request_operation(operation)


def void(context: CommandContext) -> RejectionReason | None:
    """Give back what is left of the authorization; a customer who is away is waited for no more.

    Nothing is held then, so that nothing is asked of the network; a late yes is reversed.
    """
    if context.state.status == PaymentStatus.REQUIRES_ACTION:
        context.record_event(EventType.VOIDED, PaymentStatus.VOIDED, amount_minor=0)
        return None
    operation = new_operation(context, Operation.VOID, context.state.capturable_minor)
    context.record_event(EventType.VOID_REQUESTED, PaymentStatus.VOIDING, operation)
    context.request_operation(operation)
    return None


def expire(context: CommandContext) -> RejectionReason | None:
    """The authorization's time is over: the issuer has released what nobody captured."""
    state = context.state
    if state.expires_at_ms is None or context.now_ms < state.expires_at_ms:
        return RejectionReason.NOT_DUE
    captured_minor = state.captured_minor
    context.record_event(
        EventType.EXPIRED,
        idle_status(captured_minor, captured_minor) if captured_minor else PaymentStatus.EXPIRED,
        amount_minor=state.capturable_minor,
        authorized_minor=captured_minor,
    )
    return None


def capture_fee_minor(state: PaymentState, amount_minor: int) -> int:
    """Fee of a capture of `amount_minor` in this state."""
    captured_minor = state.captured_minor + amount_minor
    whole_minor = fee_minor(captured_minor, state.fee_basis_points, state.fee_fixed_minor)
    return max(0, whole_minor - state.fees_minor)


def authorized_after_capture_minor(state: PaymentState, operation: OperationState) -> int:
    """A final capture releases the rest of the authorization."""
    if operation.final:
        return state.captured_minor + operation.amount_minor
    return state.authorized_minor
