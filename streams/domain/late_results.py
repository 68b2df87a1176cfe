"""Late approvals: the network did what was recorded as not done, so money moved.

Such a result is true whenever it comes, since all attempts share one idempotency key. If the
operation still fits the payment as it is now, it is recorded as if it had come in time. If not, it
is reversed by a request of its own: an authorization by a void, a capture by a refund; the
payment's totals never held it and do not change. A void or a refund cannot be reversed: that result
is rejected as `conflicting_result`, for operators.
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
_NEGATIVE = frozenset({Outcome.DECLINED, Outcome.FAILED})
_REVERSED_BY: dict[str, Reversal] = {
    Operation.AUTHORIZE: Reversal.AUTHORIZE,
    Operation.CAPTURE: Reversal.CAPTURE,
}


def can_apply_late(state: PaymentState, operation: OperationState, command: PaymentCommand) -> bool:
    """Whether the late approval can be recorded as if it had come in time.

    Never that of an authorization: the merchant knows the payment as failed, and the customer may
    have paid otherwise.
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
    context: CommandContext, operation: OperationState
) -> RejectionReason | None:
    """Reverse what the network did, or return why the result changes nothing."""
    command = context.command
    if not _approved_late(operation, command):
        return _rejection(operation, command)
    kind = _REVERSED_BY.get(operation.operation)
    if kind is None:
        return RejectionReason.CONFLICTING_RESULT
    reversal = _reversal(context, operation, kind)
    if context.state.operation_of(reversal.key(context.state.payment_id)) is not None:
        return RejectionReason.STALE_RESULT
    context.record_event(
        EventType.REVERSAL_REQUESTED,
        context.state.status,
        reversal,
        totals_of=replace(
            context.state,
            network_reference=reversal.network_reference,
            network=context.state.network_of(reversal),
        ),
        reason=f"late_approval_of_{operation.operation}",
    )
    context.request_operation(reversal)
    return None


def _approved_late(operation: OperationState, command: PaymentCommand) -> bool:
    known = 1 <= (command.attempt or 0) <= operation.attempt
    return known and command.outcome == Outcome.APPROVED and operation.status in _NOT_DONE


def _rejection(operation: OperationState, command: PaymentCommand) -> RejectionReason:
    """A decline of the last attempt after an approval is for operators; the approval stands."""
    is_last = command.attempt == operation.attempt
    if is_last and command.outcome in _NEGATIVE and operation.status == OperationStatus.APPROVED:
        return RejectionReason.CONFLICTING_RESULT
    return RejectionReason.STALE_RESULT


def _reversal(context: CommandContext, operation: OperationState, kind: Reversal) -> OperationState:
    return OperationState(
        operation=kind.value,
        number=operation.number,
        amount_minor=operation.amount_minor,
        attempt=1,
        status=OperationStatus.IN_FLIGHT,
        requested_at_ms=context.now_ms,
        due_at_ms=context.policy.result_due_at_ms(context.now_ms, 1),
        network_reference=context.command.network_reference or context.state.network_reference,
    )
