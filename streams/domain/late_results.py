"""The network's approval of what was recorded as not done: money moved all the same.

Such an answer is true whenever it comes, since all attempts share one idempotency key. If what the
network did still fits into the payment as it is now, it is recorded as if it had come in time. If
not, it is taken back by a request of its own: an authorization by a void, a capture by a refund;
the payment's totals never held it and do not change. A void or a refund cannot be taken back: that
answer is refused as `conflicting_result`, for people.
"""

from msgspec.structs import replace

from schemas.enums import (
    EventType,
    Operation,
    Outcome,
    PaymentStatus,
    RejectionReason,
    Reversal,
)
from schemas.records import PaymentCommand
from streams.domain.state import OperationState, OperationStatus, PaymentState
from streams.domain.transition import CommandContext

_NOT_DONE = frozenset({OperationStatus.DECLINED, OperationStatus.FAILED})
_CAPTURABLE_STATUSES = frozenset({PaymentStatus.AUTHORIZED, PaymentStatus.PARTIALLY_CAPTURED})
_SAYS_NO = frozenset({Outcome.DECLINED, Outcome.FAILED})
_REVERSED_BY: dict[str, Reversal] = {
    Operation.AUTHORIZE: Reversal.AUTHORIZE,
    Operation.CAPTURE: Reversal.CAPTURE,
}


def can_apply_late(state: PaymentState, operation: OperationState, command: PaymentCommand) -> bool:
    """Whether the late approval can be recorded as if it had come in time.

    Never that of an authorization: the merchant was told that there is no payment, and the customer
    may have paid otherwise.
    """
    if not _approved_late(operation, command):
        return False
    match operation.operation:
        case Operation.CAPTURE:
            return (
                state.status in _CAPTURABLE_STATUSES
                and operation.amount_minor <= state.capturable_minor
            )
        case Operation.VOID:
            return (
                state.status in _CAPTURABLE_STATUSES
                and operation.amount_minor == state.capturable_minor
            )
        case Operation.REFUND:
            return operation.amount_minor <= state.refundable_minor
        case _:
            return operation.is_reversal


def handle_conflicting_result(
    turn: CommandContext, operation: OperationState
) -> RejectionReason | None:
    """Take back what the network did, or say why the answer changes nothing."""
    command = turn.command
    if not _approved_late(operation, command):
        return _refusal(operation, command)
    kind = _REVERSED_BY.get(operation.operation)
    if kind is None:
        return RejectionReason.CONFLICTING_RESULT
    reversal = _reversal(turn, operation, kind)
    if turn.state.operation_of(reversal.key(turn.state.payment_id)) is not None:
        return RejectionReason.STALE_RESULT
    turn.happened(
        EventType.REVERSAL_REQUESTED,
        turn.state.status,
        reversal,
        moved=replace(
            turn.state,
            network_reference=reversal.network_reference,
            network=turn.state.network_of(reversal),
        ),
        reason=f"late_approval_of_{operation.operation}",
    )
    turn.ask(reversal)
    return None


def _approved_late(operation: OperationState, command: PaymentCommand) -> bool:
    asked = 1 <= (command.attempt or 0) <= operation.attempt
    return asked and command.outcome == Outcome.APPROVED and operation.status in _NOT_DONE


def _refusal(operation: OperationState, command: PaymentCommand) -> RejectionReason:
    """A no after a yes, about the last question, is for people; the yes stands."""
    is_last = command.attempt == operation.attempt
    if is_last and command.outcome in _SAYS_NO and operation.status == OperationStatus.APPROVED:
        return RejectionReason.CONFLICTING_RESULT
    return RejectionReason.STALE_RESULT


def _reversal(turn: CommandContext, operation: OperationState, kind: Reversal) -> OperationState:
    return OperationState(
        operation=kind.value,
        number=operation.number,
        amount_minor=operation.amount_minor,
        attempt=1,
        status=OperationStatus.IN_FLIGHT,
        requested_at_ms=turn.now_ms,
        due_at_ms=turn.policy.answer_due_at_ms(turn.now_ms, 1),
        network_reference=turn.command.network_reference or turn.state.network_reference,
    )
