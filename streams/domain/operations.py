"""New operations at the card network, and new attempts of those without outcome."""

from msgspec.structs import replace

from schemas.enums import EventType, Operation, PaymentStatus, RejectionReason, Source
from streams.domain.state import OperationState, OperationStatus
from streams.domain.transition import CommandContext

_IN_FLIGHT = OperationStatus.IN_FLIGHT
_WORDS: dict[str, str] = {kind: kind.value for kind in Operation}


def new_operation(
    context: CommandContext,
    kind: Operation,
    amount_minor: int,
    *,
    refund_id: str | None = None,
    final: bool = False,
) -> OperationState:
    """The payment's next operation of a kind, under an idempotency key of its own."""
    now_ms = context.now_ms
    return OperationState(
        _WORDS[kind],
        context.state.next_number(kind),
        amount_minor,
        1,
        _IN_FLIGHT,
        now_ms,
        context.policy.result_due_at_ms(now_ms, 1),
        refund_id,
        final,
    )


def next_attempt(context: CommandContext, operation: OperationState) -> OperationState:
    """The same operation and key, one attempt on; its status follows from the event."""
    attempt = operation.attempt + 1
    due_at_ms = context.policy.result_due_at_ms(context.now_ms, attempt)
    return replace(operation, attempt=attempt, due_at_ms=due_at_ms)


def complete_action(context: CommandContext) -> RejectionReason | None:
    """The customer is back from 3-D Secure: inquire about the authorization, with its key."""
    again = next_attempt(context, context.state.authorization)
    context.record_event(EventType.ACTION_COMPLETED, PaymentStatus.AUTHORIZING, again)
    context.request_operation(again)
    return None


def action_timed_out(context: CommandContext) -> RejectionReason | None:
    """The customer did not come back: the network is asked once how it ended.

    The customer may have succeeded on the network's page and closed it: then money is held.
    """
    due_at_ms = context.state.action_due_at_ms
    if due_at_ms is None or context.now_ms < due_at_ms:
        return RejectionReason.NOT_DUE
    again = next_attempt(context, context.state.authorization)
    context.record_event(EventType.RESOLUTION_REQUESTED, PaymentStatus.UNKNOWN, again)
    context.request_operation(again)
    return None


def resolve_unknown(context: CommandContext) -> RejectionReason | None:
    """Inquire about the status of an operation: when it is due, or at once if an operator asks."""
    operation = _overdue(context)
    if operation is None:
        return RejectionReason.NOT_DUE
    again = next_attempt(context, operation)
    status = context.state.status if operation.is_reversal else PaymentStatus.UNKNOWN
    context.record_event(EventType.RESOLUTION_REQUESTED, status, again)
    context.request_operation(again)
    return None


def _overdue(context: CommandContext) -> OperationState | None:
    """The operation that the command names, or the first whose inquiry is due."""
    command, by_operator = context.command, context.command.source == Source.OPERATOR
    for operation in context.state.operations:
        if not operation.pending:
            continue
        if command.operation_id not in (None, operation.key(context.state.payment_id)):
            continue
        due_at_ms = operation.due_at_ms
        if by_operator or (due_at_ms is not None and due_at_ms <= context.now_ms):
            return operation
    return None
