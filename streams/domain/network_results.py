"""Network results: which are accepted, and what each outcome of each operation means.

All attempts of an operation carry one idempotency key, so the network does the operation at most
once: `approved` is true whichever attempt it belongs to. Any other outcome counts only from the
last attempt, because the network may have replied to an older one before the money moved. A result
for an operation that has its outcome is stale; one that says the opposite goes to `late_results`.
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
    PENDING,
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


def network_result(context: CommandContext) -> RejectionReason | None:
    """Apply the network's result, if it belongs to an open operation."""
    command = context.command
    operation = context.state.operation_of(command.operation_id)
    if operation is None:
        return RejectionReason.STALE_RESULT
    if not is_current(operation, command) and not can_apply_late(context.state, operation, command):
        return handle_conflicting_result(context, operation)
    outcome = command.outcome or ""
    conclude = _CONCLUSIONS.get((operation.operation, outcome))
    if conclude is None:
        return RejectionReason.FIELD_INVALID
    concluded = replace(operation, status=_CONCLUDES[outcome], due_at_ms=None)
    conclude(context, concluded)
    return None


def is_current(operation: OperationState, command: PaymentCommand) -> bool:
    """Whether a result concludes this operation, which is still open."""
    attempt = command.attempt or 0
    if command.outcome == _APPROVED:
        return 1 <= attempt <= operation.attempt and operation.status in _OPEN_FOR_MONEY
    if command.outcome == Outcome.DECLINED and operation.status in _OPEN_FOR_MONEY:
        return attempt == operation.attempt
    if command.outcome == Outcome.UNKNOWN and operation.status == OperationStatus.UNKNOWN:
        return False  # the attempt is recorded as unknown: a copy of that result
    return attempt == operation.attempt and operation.pending


_OPEN_FOR_MONEY = PENDING | {OperationStatus.REQUIRES_ACTION}


def _authorized(context: CommandContext, operation: OperationState) -> None:
    state, command = context.state, context.command
    context.record_event(
        _AUTHORIZED,
        _STATUS_AUTHORIZED,
        operation,
        totals_of=replace(
            state,
            authorized_minor=state.requested_minor,
            network_reference=command.network_reference or state.network_reference,
        ),
        due_at_ms=context.policy.expires_at_ms(context.now_ms),
    )
    if state.capture_method == _AUTOMATIC and not state.capture_delay_seconds:
        request_capture(context, state.requested_minor)


def _requires_action(context: CommandContext, operation: OperationState) -> None:
    """The first deadline stays: asking again does not prolong the customer's time.

    After it the payment has failed; a customer who succeeds even later is reversed.
    """
    state, command = context.state, context.command
    due_at_ms = state.action_due_at_ms or context.policy.action_due_at_ms(context.now_ms)
    if context.now_ms >= due_at_ms:
        failed = replace(operation, status=OperationStatus.FAILED)
        context.record_event(
            EventType.FAILED, PaymentStatus.FAILED, failed, reason="action_timed_out"
        )
        return
    context.record_event(
        EventType.REQUIRES_ACTION,
        PaymentStatus.REQUIRES_ACTION,
        operation,
        network_reference=command.network_reference or state.network_reference,
        action_url=command.action_url or state.action_url,
        due_at_ms=due_at_ms,
    )


def _not_authorized(context: CommandContext, operation: OperationState) -> None:
    command = context.command
    declined = operation.status == OperationStatus.DECLINED
    context.record_event(
        EventType.DECLINED if declined else EventType.FAILED,
        PaymentStatus.DECLINED if declined else PaymentStatus.FAILED,
        operation,
        network_reference=command.network_reference or context.state.network_reference,
        decline_code=command.decline_code,
        reason=command.reason,
    )


def _not_processed(context: CommandContext, operation: OperationState) -> None:
    """The operation did not reach the first network: request it from the fallback, with a new key.

    The card comes with the result, since it is stored nowhere.
    """
    command, state = context.command, context.state
    if command.card is None or state.network is not None:
        _not_authorized(context, operation)
        return
    again = new_operation(context, Operation.AUTHORIZE, operation.amount_minor)
    context.record_event(
        EventType.REROUTED,
        PaymentStatus.AUTHORIZING,
        again,
        network=Network.FALLBACK,
        reason=command.reason,
    )
    context.request_operation(again, card=command.card)


def _captured(context: CommandContext, operation: OperationState) -> None:
    state = context.state
    captured_minor = state.captured_minor + operation.amount_minor
    authorized_minor = authorized_after_capture_minor(state, operation)
    fee_minor = capture_fee_minor(state, operation.amount_minor)
    context.record_event(
        _CAPTURED,
        status_with_pending(state, operation, idle_status(captured_minor, authorized_minor)),
        operation,
        totals_of=replace(
            state,
            captured_minor=captured_minor,
            authorized_minor=authorized_minor,
            fees_minor=state.fees_minor + fee_minor,
        ),
        due_at_ms=context.policy.settlement_due_at_ms(context.now_ms),
        fee_minor=fee_minor,
    )


def _voided(context: CommandContext, operation: OperationState) -> None:
    captured_minor = context.state.captured_minor
    idle = idle_status(captured_minor, captured_minor)
    context.record_event(
        EventType.VOIDED,
        status_with_pending(
            context.state, operation, idle if captured_minor else PaymentStatus.VOIDED
        ),
        operation,
        authorized_minor=captured_minor,
    )


def _refunded(context: CommandContext, operation: OperationState) -> None:
    state = context.state
    context.record_event(
        EventType.REFUND_SUCCEEDED,
        _status_unchanged_totals(context, operation),
        operation,
        totals_of=replace(state, refunded_minor=state.refunded_minor + operation.amount_minor),
    )


_NOT_DONE = {
    Operation.CAPTURE: EventType.CAPTURE_FAILED,
    Operation.VOID: EventType.VOID_FAILED,
    Operation.REFUND: EventType.REFUND_FAILED,
}


def _not_done(context: CommandContext, operation: OperationState) -> None:
    command = context.command
    declined = operation.status == OperationStatus.DECLINED
    context.record_event(
        _NOT_DONE[Operation(operation.operation)],
        _status_unchanged_totals(context, operation),
        operation,
        decline_code=(command.decline_code or "generic_decline") if declined else None,
        reason=command.reason if declined else command.reason or command.decline_code,
    )


def _reversed(context: CommandContext, operation: OperationState) -> None:
    context.record_event(EventType.REVERSED, context.state.status, operation)


def _not_reversed(context: CommandContext, operation: OperationState) -> None:
    """The network still holds the customer's money: operators must act at once."""
    command = context.command
    context.record_event(
        EventType.REVERSAL_FAILED,
        context.state.status,
        operation,
        decline_code=command.decline_code,
        reason=command.reason,
    )


def _unknown(context: CommandContext, operation: OperationState) -> None:
    due_at_ms = context.policy.status_inquiry_due_at_ms(context.now_ms, operation.attempt)
    context.record_event(
        EventType.OUTCOME_UNKNOWN,
        context.state.status if operation.is_reversal else PaymentStatus.UNKNOWN,
        replace(operation, due_at_ms=due_at_ms),
        reason=context.command.reason,
    )


def _status_unchanged_totals(context: CommandContext, operation: OperationState) -> PaymentStatus:
    """Main state when an operation ends that leaves authorized and captured as they are."""
    state = context.state
    idle = idle_status(
        state.captured_minor, state.authorized_minor, settled=state.settled_at_ms is not None
    )
    return status_with_pending(state, operation, idle)


_CONCLUSIONS: dict[tuple[str, str], Callable[[CommandContext, OperationState], None]] = {
    (Operation.AUTHORIZE, Outcome.APPROVED): _authorized,
    (Operation.AUTHORIZE, Outcome.REQUIRES_ACTION): _requires_action,
    (Operation.AUTHORIZE, Outcome.DECLINED): _not_authorized,
    (Operation.AUTHORIZE, Outcome.FAILED): _not_authorized,
    (Operation.AUTHORIZE, Outcome.NOT_PROCESSED): _not_processed,
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
