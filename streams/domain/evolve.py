"""`evolve`: the state after an event. Events carry totals and main state; nothing is decided here.

Old events therefore keep their meaning when a rule of `decide` changes.
"""

from collections.abc import Callable

from msgspec.structs import replace

from schemas.enums import SYSTEM_COMMAND_KINDS, CaptureMethod, EventType, RejectionReason
from schemas.records import PaymentCommand, PaymentEvent
from streams.domain.state import (
    FINGERPRINT_CHARACTERS,
    PENDING,
    REVERSALS,
    DisputeState,
    OperationState,
    OperationStatus,
    PaymentState,
    SeenCommand,
)

SYSTEM_COMMANDS_MAX = 6
"""How many of the last network results and deadlines are remembered by command id."""
COMMANDS_REMEMBERED_MAX = 256
"""Clients' commands for one payment; later ones are rejected, none is forgotten."""
_AUTOMATIC = CaptureMethod.AUTOMATIC
_REJECTED, _TOO_MANY = EventType.COMMAND_REJECTED, RejectionReason.TOO_MANY_COMMANDS

Seen = tuple[SeenCommand, ...]
Effect = Callable[[PaymentState, PaymentEvent], PaymentState]
"""What an event does beyond main state, totals and memory, which the state has already."""


class SequenceGap(ValueError):
    """An event is not the next one of its payment."""


def empty_state(origin: PaymentCommand | PaymentEvent) -> PaymentState:
    """A payment that was not created yet."""
    return PaymentState(
        payment_id=origin.payment_id,
        merchant_id=origin.merchant_id,
        mode=origin.mode,
        currency=origin.currency or "",
    )


def evolve(state: PaymentState | None, event: PaymentEvent) -> PaymentState:
    """The state after `event`. Raises SequenceGap if an event is missing or comes twice.

    A type that this release does not know changes the totals and the main state alone.
    """
    before = state if state is not None else empty_state(event)
    if event.sequence != before.sequence + 1:
        raise SequenceGap(
            f"{event.payment_id}: event {event.sequence} came after event {before.sequence}"
        )
    client_commands, system_commands = _memory(before, event)
    after = replace(
        before,
        status=event.status,
        sequence=event.sequence,
        authorized_minor=event.authorized_minor,
        captured_minor=event.captured_minor,
        refunded_minor=event.refunded_minor,
        fees_minor=event.fees_minor,
        updated_at_ms=event.occurred_at_ms,
        client_commands=client_commands,
        system_commands=system_commands,
        operations=_operations(before, event),
    )
    effect = _EFFECTS.get(event.type)
    return after if effect is None else effect(after, event)


def _memory(state: PaymentState, event: PaymentEvent) -> tuple[Seen, Seen]:
    """Client and system commands with the event's command; its first event counts."""
    client_commands, system_commands = state.client_commands, state.system_commands
    reason = event.reason if event.type == _REJECTED else None
    if reason == _TOO_MANY:
        return client_commands, system_commands
    seen = SeenCommand(event.command_id, event.fingerprint[:FINGERPRINT_CHARACTERS], reason)
    if event.command_kind in SYSTEM_COMMAND_KINDS:
        if not system_commands or system_commands[-1] != seen:
            system_commands = (*system_commands[1 - SYSTEM_COMMANDS_MAX :], seen)
    elif not client_commands or client_commands[-1] != seen:
        client_commands = (*client_commands, seen)
    return client_commands, system_commands


def _operations(state: PaymentState, event: PaymentEvent) -> tuple[OperationState, ...]:
    """The operations with the event's one as it is after the event."""
    operations, status = state.operations, _STATUSES.get(event.type)
    if status is None or event.operation_id is None:
        return operations
    if event.decline_code is not None and event.type in _NOT_DONE:
        status = OperationStatus.DECLINED
    before = state.operation_of(event.operation_id)
    due_at_ms = event.due_at_ms if status in PENDING else None
    if before is None:
        return (*operations, _new_operation(event, status, due_at_ms))
    after = replace(
        before,
        attempt=event.attempt or 1,
        status=status,
        due_at_ms=due_at_ms,
        refund_id=event.refund_id,
        final=bool(event.final),
    )
    place = operations.index(before)
    return (*operations[:place], after, *operations[place + 1 :])


_NOT_DONE = frozenset(
    {
        EventType.CAPTURE_FAILED,
        EventType.VOID_FAILED,
        EventType.REFUND_FAILED,
        EventType.REVERSAL_FAILED,
    }
)
"""The network declined it, or never got it; a decline has a code."""
_STATUSES: dict[str, OperationStatus] = {
    EventType.CREATED: OperationStatus.IN_FLIGHT,
    EventType.REQUIRES_ACTION: OperationStatus.REQUIRES_ACTION,
    EventType.ACTION_COMPLETED: OperationStatus.IN_FLIGHT,
    EventType.REROUTED: OperationStatus.IN_FLIGHT,
    EventType.AUTHORIZED: OperationStatus.APPROVED,
    EventType.DECLINED: OperationStatus.DECLINED,
    EventType.FAILED: OperationStatus.FAILED,
    EventType.OUTCOME_UNKNOWN: OperationStatus.UNKNOWN,
    EventType.RESOLUTION_REQUESTED: OperationStatus.INQUIRING,
    EventType.CAPTURE_REQUESTED: OperationStatus.IN_FLIGHT,
    EventType.CAPTURED: OperationStatus.APPROVED,
    EventType.VOID_REQUESTED: OperationStatus.IN_FLIGHT,
    EventType.VOIDED: OperationStatus.APPROVED,
    EventType.REFUND_REQUESTED: OperationStatus.IN_FLIGHT,
    EventType.REFUND_SUCCEEDED: OperationStatus.APPROVED,
    EventType.REVERSAL_REQUESTED: OperationStatus.IN_FLIGHT,
    EventType.REVERSED: OperationStatus.APPROVED,
    **dict.fromkeys(_NOT_DONE, OperationStatus.FAILED),
}
"""Status of the event's operation after it; other events are about none."""


def _new_operation(event: PaymentEvent, status: str, due_at_ms: int | None) -> OperationState:
    kind = event.operation or ""
    return OperationState(
        kind,
        int((event.operation_id or "").rpartition(":")[2]),
        event.amount_minor,
        event.attempt or 1,
        status,
        event.occurred_at_ms,
        due_at_ms,
        event.refund_id,
        bool(event.final),
        event.network_reference if kind in REVERSALS else None,
    )


def _created(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(
        state,
        merchant_id=event.merchant_id,
        mode=event.mode,
        currency=event.currency,
        requested_minor=event.requested_minor,
        capture_method=event.capture_method,
        capture_delay_seconds=event.capture_delay_seconds,
        idempotency_key=event.idempotency_key,
        reference=event.reference,
        return_url=event.return_url,
        fee_basis_points=event.fee_basis_points,
        fee_fixed_minor=event.fee_fixed_minor,
        created_at_ms=event.occurred_at_ms,
        create_fingerprint=event.fingerprint[:FINGERPRINT_CHARACTERS],
    )


def _requires_action(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(
        state,
        network_reference=event.network_reference,
        action_url=event.action_url,
        action_due_at_ms=event.due_at_ms,
    )


def _rerouted(state: PaymentState, event: PaymentEvent) -> PaymentState:
    """The earlier authorization is over: it never reached the network."""
    *earlier, again = state.operations
    over = (replace(o, status=OperationStatus.FAILED, due_at_ms=None) for o in earlier)
    return replace(state, operations=(*over, again), network=event.network)


def _authorized(state: PaymentState, event: PaymentEvent) -> PaymentState:
    capture_due_at_ms = None
    if event.capture_method == _AUTOMATIC and event.capture_delay_seconds:
        capture_due_at_ms = event.occurred_at_ms + event.capture_delay_seconds * 1000
    return replace(
        state,
        network_reference=event.network_reference,
        action_url=None,
        action_due_at_ms=None,
        expires_at_ms=event.due_at_ms,
        capture_due_at_ms=capture_due_at_ms,
    )


def _not_authorized(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(state, decline_code=event.decline_code, action_url=None, action_due_at_ms=None)


def _voided(state: PaymentState, event: PaymentEvent) -> PaymentState:
    """While the customer was away: the authorization is over, and a late yes is reversed."""
    if event.operation_id is not None:
        return state
    over = tuple(
        replace(o, status=OperationStatus.FAILED, due_at_ms=None)
        if o.status == OperationStatus.REQUIRES_ACTION
        else o
        for o in state.operations
    )
    return replace(state, operations=over, action_url=None, action_due_at_ms=None)


def _capture_or_void_requested(state: PaymentState, event: PaymentEvent) -> PaymentState:
    """A capture or void ends the wait for a background capture, even if it fails later."""
    return state if state.capture_due_at_ms is None else replace(state, capture_due_at_ms=None)


def _captured(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(state, settlement_due_at_ms=event.due_at_ms)


def _settled(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(state, settled_at_ms=event.occurred_at_ms, settlement_due_at_ms=None)


def _settlement_overdue(state: PaymentState, event: PaymentEvent) -> PaymentState:
    return replace(state, settlement_due_at_ms=None)


def _dispute_opened(state: PaymentState, event: PaymentEvent) -> PaymentState:
    opened = DisputeState(event.dispute_id or "", event.amount_minor, "open")
    return replace(state, disputes=(*state.disputes, opened))


def _dispute_closed(state: PaymentState, event: PaymentEvent) -> PaymentState:
    status = "won" if event.type == EventType.DISPUTE_WON else "lost"
    disputes = tuple(
        replace(d, status=status) if d.dispute_id == event.dispute_id else d for d in state.disputes
    )
    return replace(state, disputes=disputes)


_EFFECTS: dict[str, Effect] = {
    EventType.CREATED: _created,
    EventType.REQUIRES_ACTION: _requires_action,
    EventType.REROUTED: _rerouted,
    EventType.AUTHORIZED: _authorized,
    EventType.DECLINED: _not_authorized,
    EventType.FAILED: _not_authorized,
    EventType.CAPTURE_REQUESTED: _capture_or_void_requested,
    EventType.VOID_REQUESTED: _capture_or_void_requested,
    EventType.CAPTURED: _captured,
    EventType.VOIDED: _voided,
    EventType.SETTLED: _settled,
    EventType.SETTLEMENT_OVERDUE: _settlement_overdue,
    EventType.DISPUTE_OPENED: _dispute_opened,
    EventType.DISPUTE_WON: _dispute_closed,
    EventType.DISPUTE_LOST: _dispute_closed,
}
