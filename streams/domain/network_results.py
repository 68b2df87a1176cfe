"""Network results: which are believed, and what each outcome of each operation means.

All attempts of an operation carry one idempotency key, so the network does the operation at most
once: `approved` is true whichever attempt it answers. Any other outcome is believed from the last
attempt alone, because an older question may have been answered before the money moved. A result
for an operation that has its outcome is stale; one that says the opposite goes to `contradicting`.
"""

from collections.abc import Callable

from msgspec.structs import replace

from schemas.enums import (
    CaptureMethod,
    EventType,
    Network,
    Operation,
    Outcome,
    PaymentStatus,
    RejectionReason,
    Reversal,
)
from schemas.records import PaymentCommand
from streams.domain.capture import (
    authorized_after_capture_minor,
    capture_fee_minor,
    request_capture,
)
from streams.domain.late_results import can_apply_late, handle_conflicting_result
from streams.domain.operations import new_operation
from streams.domain.state import (
    OperationState,
    OperationStatus,
    idle_status,
    status_with_pending,
)
from streams.domain.transition import CommandContext

# A member of an enum is looked up in its class at each use; on the hot path that is felt.
_APPROVED, _AUTOMATIC = Outcome.APPROVED, CaptureMethod.AUTOMATIC
_AUTHORIZED, _CAPTURED = EventType.AUTHORIZED, EventType.CAPTURED
_STATUS_AUTHORIZED = PaymentStatus.AUTHORIZED
_CONCLUDES: dict[str, OperationStatus] = {
    Outcome.APPROVED: OperationStatus.APPROVED,
    Outcome.DECLINED: OperationStatus.DECLINED,
    Outcome.FAILED: OperationStatus.FAILED,
    Outcome.UNKNOWN: OperationStatus.UNKNOWN,
    Outcome.REQUIRES_ACTION: OperationStatus.REQUIRES_ACTION,
    Outcome.NOT_PROCESSED: OperationStatus.FAILED,
}


def network_result(turn: CommandContext) -> RejectionReason | None:
    """Take the network's answer, if it is the answer to an open question."""
    command = turn.command
    operation = turn.state.operation_of(command.operation_id)
    if operation is None:
        return RejectionReason.STALE_RESULT
    if not answers(operation, command) and not can_apply_late(turn.state, operation, command):
        return handle_conflicting_result(turn, operation)
    outcome = command.outcome or ""
    conclude = _CONCLUSIONS.get((operation.operation, outcome))
    if conclude is None:
        return RejectionReason.FIELD_INVALID
    concluded = replace(operation, status=_CONCLUDES[outcome], due_at_ms=None)
    conclude(turn, concluded)
    return None


def answers(operation: OperationState, command: PaymentCommand) -> bool:
    """Whether a result answers a question about this operation that is still open."""
    attempt = command.attempt or 0
    if command.outcome == _APPROVED:
        return 1 <= attempt <= operation.attempt and operation.status in _OPEN_FOR_MONEY
    if command.outcome == Outcome.DECLINED and operation.status in _OPEN_FOR_MONEY:
        return attempt == operation.attempt
    return attempt == operation.attempt and operation.pending


_OPEN_FOR_MONEY = frozenset(
    {OperationStatus.IN_FLIGHT, OperationStatus.UNKNOWN, OperationStatus.REQUIRES_ACTION}
)


def _authorized(turn: CommandContext, operation: OperationState) -> None:
    state, command = turn.state, turn.command
    turn.happened(
        _AUTHORIZED,
        _STATUS_AUTHORIZED,
        operation,
        moved=replace(
            state,
            authorized_minor=state.requested_minor,
            network_reference=command.network_reference or state.network_reference,
        ),
        due_at_ms=turn.policy.expires_at_ms(turn.now_ms),
    )
    if state.capture_method == _AUTOMATIC and not state.capture_delay_seconds:
        request_capture(turn, state.requested_minor)


def _requires_action(turn: CommandContext, operation: OperationState) -> None:
    """The first deadline stays: asking again does not prolong the customer's time."""
    state, command = turn.state, turn.command
    due_at_ms = state.action_due_at_ms or turn.policy.action_due_at_ms(turn.now_ms)
    turn.happened(
        EventType.REQUIRES_ACTION,
        PaymentStatus.REQUIRES_ACTION,
        operation,
        network_reference=command.network_reference or state.network_reference,
        action_url=command.action_url or state.action_url,
        due_at_ms=due_at_ms,
    )


def _not_authorized(turn: CommandContext, operation: OperationState) -> None:
    command = turn.command
    declined = operation.status == OperationStatus.DECLINED
    turn.happened(
        EventType.DECLINED if declined else EventType.FAILED,
        PaymentStatus.DECLINED if declined else PaymentStatus.FAILED,
        operation,
        network_reference=command.network_reference or turn.state.network_reference,
        decline_code=command.decline_code,
        reason=command.reason,
    )


def _not_taken(turn: CommandContext, operation: OperationState) -> None:
    """The first network surely has not got it: the fallback is asked, under a key of its own.

    The card comes with the answer, since nothing else keeps it.
    """
    command, state = turn.command, turn.state
    if command.card is None or state.network is not None:
        _not_authorized(turn, operation)
        return
    again = new_operation(turn, Operation.AUTHORIZE, operation.amount_minor)
    turn.happened(
        EventType.REROUTED,
        PaymentStatus.AUTHORIZING,
        again,
        network=Network.FALLBACK,
        reason=command.reason,
    )
    turn.ask(again, card=command.card)


def _captured(turn: CommandContext, operation: OperationState) -> None:
    state = turn.state
    captured_minor = state.captured_minor + operation.amount_minor
    authorized_minor = authorized_after_capture_minor(state, operation)
    fee_minor = capture_fee_minor(state, operation.amount_minor)
    turn.happened(
        _CAPTURED,
        status_with_pending(state, operation, idle_status(captured_minor, authorized_minor)),
        operation,
        moved=replace(
            state,
            captured_minor=captured_minor,
            authorized_minor=authorized_minor,
            fees_minor=state.fees_minor + fee_minor,
        ),
        due_at_ms=turn.policy.settlement_due_at_ms(turn.now_ms),
        fee_minor=fee_minor,
    )


def _voided(turn: CommandContext, operation: OperationState) -> None:
    captured_minor = turn.state.captured_minor
    resting = idle_status(captured_minor, captured_minor)
    turn.happened(
        EventType.VOIDED,
        status_with_pending(
            turn.state, operation, resting if captured_minor else PaymentStatus.VOIDED
        ),
        operation,
        authorized_minor=captured_minor,
    )


def _refunded(turn: CommandContext, operation: OperationState) -> None:
    state = turn.state
    turn.happened(
        EventType.REFUND_SUCCEEDED,
        _unmoved(turn, operation),
        operation,
        moved=replace(state, refunded_minor=state.refunded_minor + operation.amount_minor),
    )


_NOT_DONE = {
    Operation.CAPTURE: EventType.CAPTURE_FAILED,
    Operation.VOID: EventType.VOID_FAILED,
    Operation.REFUND: EventType.REFUND_FAILED,
}


def _not_done(turn: CommandContext, operation: OperationState) -> None:
    command = turn.command
    declined = operation.status == OperationStatus.DECLINED
    turn.happened(
        _NOT_DONE[Operation(operation.operation)],
        _unmoved(turn, operation),
        operation,
        decline_code=(command.decline_code or "generic_decline") if declined else None,
        reason=command.reason if declined else command.reason or command.decline_code,
    )


def _reversed(turn: CommandContext, operation: OperationState) -> None:
    turn.happened(EventType.REVERSED, turn.state.status, operation)


def _not_reversed(turn: CommandContext, operation: OperationState) -> None:
    """The network still holds the customer's money: for people, at once."""
    command = turn.command
    turn.happened(
        EventType.REVERSAL_FAILED,
        turn.state.status,
        operation,
        decline_code=command.decline_code,
        reason=command.reason,
    )


def _unknown(turn: CommandContext, operation: OperationState) -> None:
    due_at_ms = turn.policy.resolve_due_at_ms(turn.now_ms, operation.attempt)
    turn.happened(
        EventType.OUTCOME_UNKNOWN,
        turn.state.status if operation.is_reversal else PaymentStatus.UNKNOWN,
        replace(operation, due_at_ms=due_at_ms),
        reason=turn.command.reason,
    )


def _unmoved(turn: CommandContext, operation: OperationState) -> PaymentStatus:
    """Main state when an operation ends that leaves authorized and captured as they are."""
    state = turn.state
    resting = idle_status(
        state.captured_minor, state.authorized_minor, settled=state.settled_at_ms is not None
    )
    return status_with_pending(state, operation, resting)


_CONCLUSIONS: dict[tuple[str, str], Callable[[CommandContext, OperationState], None]] = {
    (Operation.AUTHORIZE, Outcome.APPROVED): _authorized,
    (Operation.AUTHORIZE, Outcome.REQUIRES_ACTION): _requires_action,
    (Operation.AUTHORIZE, Outcome.DECLINED): _not_authorized,
    (Operation.AUTHORIZE, Outcome.FAILED): _not_authorized,
    (Operation.AUTHORIZE, Outcome.NOT_PROCESSED): _not_taken,
    (Operation.CAPTURE, Outcome.APPROVED): _captured,
    (Operation.VOID, Outcome.APPROVED): _voided,
    (Operation.REFUND, Outcome.APPROVED): _refunded,
    **{
        (operation, outcome): _not_done
        for operation in _NOT_DONE
        for outcome in (Outcome.DECLINED, Outcome.FAILED)
    },
    **{(reversal, Outcome.APPROVED): _reversed for reversal in Reversal},
    **{
        (reversal, outcome): _not_reversed
        for reversal in Reversal
        for outcome in (Outcome.DECLINED, Outcome.FAILED)
    },
    **{
        (operation, Outcome.UNKNOWN): _unknown
        for operation in (Operation.AUTHORIZE, *_NOT_DONE, *Reversal)
    },
}
