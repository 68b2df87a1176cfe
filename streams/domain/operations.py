"""New operations at the card network, and asking again about those without outcome."""

from msgspec.structs import replace

from schemas.enums import EventType, Operation, PaymentStatus, RejectionReason, Source
from streams.domain.state import OperationState, OperationStatus
from streams.domain.transition import CommandContext

_IN_FLIGHT = OperationStatus.IN_FLIGHT
_WORDS: dict[str, str] = {kind: kind.value for kind in Operation}


def new_operation(
    turn: CommandContext,
    kind: Operation,
    amount_minor: int,
    *,
    refund_id: str | None = None,
    final: bool = False,
) -> OperationState:
    """The payment's next operation of a kind, under an idempotency key of its own."""
    now_ms = turn.now_ms
    return OperationState(
        _WORDS[kind],
        turn.state.next_number(kind),
        amount_minor,
        1,
        _IN_FLIGHT,
        now_ms,
        turn.policy.answer_due_at_ms(now_ms, 1),
        refund_id,
        final,
    )


def next_attempt(turn: CommandContext, operation: OperationState) -> OperationState:
    """The same operation and key, one attempt on; its status follows from the event."""
    attempt = operation.attempt + 1
    due_at_ms = turn.policy.answer_due_at_ms(turn.now_ms, attempt)
    return replace(operation, attempt=attempt, due_at_ms=due_at_ms)


def complete_action(turn: CommandContext) -> RejectionReason | None:
    """The customer is back from 3-D Secure: ask how the authorization stands, with its key."""
    again = next_attempt(turn, turn.state.authorization)
    turn.happened(EventType.ACTION_COMPLETED, PaymentStatus.AUTHORIZING, again)
    turn.ask(again)
    return None


def action_timed_out(turn: CommandContext) -> RejectionReason | None:
    """The customer did not come back; without another question the network authorizes nothing."""
    due_at_ms = turn.state.action_due_at_ms
    if due_at_ms is None or turn.now_ms < due_at_ms:
        return RejectionReason.NOT_DUE
    operation = turn.state.authorization
    turn.happened(EventType.FAILED, PaymentStatus.FAILED, operation, reason="action_timed_out")
    return None


def resolve_unknown(turn: CommandContext) -> RejectionReason | None:
    """Ask how an operation ended: when its time has come, or at once if a actor asks."""
    operation = _overdue(turn)
    if operation is None:
        return RejectionReason.NOT_DUE
    again = next_attempt(turn, operation)
    status = turn.state.status if operation.is_reversal else PaymentStatus.UNKNOWN
    turn.happened(EventType.RESOLUTION_REQUESTED, status, again)
    turn.ask(again)
    return None


def _overdue(turn: CommandContext) -> OperationState | None:
    """The operation that the command means, or the first that may be asked about now."""
    command, by_person = turn.command, turn.command.source == Source.OPERATOR
    for operation in turn.state.operations:
        if not operation.pending:
            continue
        if command.operation_id not in (None, operation.key(turn.state.payment_id)):
            continue
        due_at_ms = operation.due_at_ms
        if by_person or (due_at_ms is not None and due_at_ms <= turn.now_ms):
            return operation
    return None
