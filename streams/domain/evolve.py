"""`evolve`: the state after an event. Events carry totals and main state; nothing is decided here.

Old events therefore keep their meaning when a rule of `decide` changes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from schemas.records import PaymentCommand, PaymentEvent
from schemas.vocabulary import CaptureMethod, CommandKind, EventType, RejectionReason
from streams.domain.state import (
    FINGERPRINT_CHARACTERS,
    DisputeState,
    OperationState,
    OperationStatus,
    PaymentState,
    SeenCommand,
    with_operation,
)

ECHOES_MAX = 6
"""How many of the last results and deadlines are remembered by command id."""
COMMANDS_REMEMBERED_MAX = 256
"""People's commands about one payment; later ones are refused, none is forgotten."""
ECHO_KINDS = frozenset(
    {
        CommandKind.NETWORK_RESULT,
        CommandKind.RESOLVE_UNKNOWN,
        CommandKind.CAPTURE_DUE,
        CommandKind.ACTION_TIMED_OUT,
        CommandKind.EXPIRE,
    }
)
"""Commands that the system sends to itself."""

Changes = Mapping[str, Any]


class SequenceGap(ValueError):
    """An event is not the next one of its payment."""


def blank(origin: PaymentCommand | PaymentEvent) -> PaymentState:
    """A payment that was spoken of and not created."""
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
    before = state if state is not None else blank(event)
    if event.sequence != before.sequence + 1:
        raise SequenceGap(
            f"{event.payment_id}: event {event.sequence} came after event {before.sequence}"
        )
    effect = _EFFECTS.get(event.type)
    return replace(
        before,
        status=event.status,
        sequence=event.sequence,
        authorized_minor=event.authorized_minor,
        captured_minor=event.captured_minor,
        refunded_minor=event.refunded_minor,
        fees_minor=event.fees_minor,
        updated_at_ms=event.occurred_at_ms,
        **_remembered(before, event),
        **(effect(before, event) if effect is not None else {}),
    )


def _remembered(state: PaymentState, event: PaymentEvent) -> Changes:
    """The memory of commands with the event's one; its first event counts."""
    reason = event.reason if event.type == EventType.COMMAND_REJECTED else None
    if reason == RejectionReason.TOO_MANY_COMMANDS:
        return {}
    seen = SeenCommand(event.command_id, event.fingerprint[:FINGERPRINT_CHARACTERS], reason)
    if event.command_kind in ECHO_KINDS:
        if state.echoes and state.echoes[-1] == seen:
            return {}
        return {"echoes": (*state.echoes[1 - ECHOES_MAX :], seen)}
    if state.commands and state.commands[-1] == seen:
        return {}
    return {"commands": (*state.commands, seen)}


def _operation(
    event: PaymentEvent, status: OperationStatus, before: OperationState | None
) -> OperationState:
    """The operation that an event is about, as it is after the event."""
    return OperationState(
        operation=event.operation or "",
        number=int((event.operation_id or "").rpartition(":")[2]),
        amount_minor=before.amount_minor if before is not None else event.amount_minor,
        attempt=event.attempt or 1,
        status=status,
        requested_at_ms=before.requested_at_ms if before is not None else event.occurred_at_ms,
        due_at_ms=event.due_at_ms if status in _WAITS else None,
        refund_id=event.refund_id,
        final=bool(event.final),
    )


_WAITS = (OperationStatus.IN_FLIGHT, OperationStatus.UNKNOWN)


def _moves(status: OperationStatus) -> Callable[[PaymentState, PaymentEvent], dict[str, Any]]:
    """Effect that only takes the event's operation to a status."""

    def effect(state: PaymentState, event: PaymentEvent) -> dict[str, Any]:
        before = state.operation_of(event.operation_id)
        return {"operations": with_operation(state.operations, _operation(event, status, before))}

    return effect


_in_flight = _moves(OperationStatus.IN_FLIGHT)
_unknown = _moves(OperationStatus.UNKNOWN)
_approved = _moves(OperationStatus.APPROVED)
_declined = _moves(OperationStatus.DECLINED)
_failed = _moves(OperationStatus.FAILED)
_waiting = _moves(OperationStatus.REQUIRES_ACTION)


def _created(state: PaymentState, event: PaymentEvent) -> Changes:
    return {
        **_in_flight(state, event),
        "merchant_id": event.merchant_id,
        "mode": event.mode,
        "currency": event.currency,
        "requested_minor": event.requested_minor,
        "capture_method": event.capture_method,
        "capture_delay_seconds": event.capture_delay_seconds,
        "idempotency_key": event.idempotency_key,
        "reference": event.reference,
        "return_url": event.return_url,
        "fee_basis_points": event.fee_basis_points,
        "fee_fixed_minor": event.fee_fixed_minor,
        "created_at_ms": event.occurred_at_ms,
        "claim_fingerprint": event.fingerprint[:FINGERPRINT_CHARACTERS],
    }


def _requires_action(state: PaymentState, event: PaymentEvent) -> Changes:
    return {
        **_waiting(state, event),
        "network_reference": event.network_reference,
        "action_url": event.action_url,
        "action_due_at_ms": event.due_at_ms,
    }


def _rerouted(state: PaymentState, event: PaymentEvent) -> Changes:
    """The earlier authorization is over: the network had surely not taken it."""
    over = tuple(
        replace(o, status=OperationStatus.FAILED, due_at_ms=None) for o in state.operations
    )
    in_flight = _operation(event, OperationStatus.IN_FLIGHT, None)
    return {"operations": with_operation(over, in_flight), "network": event.network}


def _authorized(state: PaymentState, event: PaymentEvent) -> Changes:
    changes = {
        **_approved(state, event),
        "network_reference": event.network_reference,
        "action_url": None,
        "action_due_at_ms": None,
        "expires_at_ms": event.due_at_ms,
    }
    if event.capture_method == CaptureMethod.AUTOMATIC and event.capture_delay_seconds:
        changes["capture_due_at_ms"] = event.occurred_at_ms + event.capture_delay_seconds * 1000
    return changes


def _not_authorized(state: PaymentState, event: PaymentEvent) -> Changes:
    effect = _declined if event.type == EventType.DECLINED else _failed
    return {
        **effect(state, event),
        "decline_code": event.decline_code,
        "action_url": None,
        "action_due_at_ms": None,
    }


def _taken_in_hand(state: PaymentState, event: PaymentEvent) -> Changes:
    """A capture or void ends the wait for a background capture, whatever becomes of it."""
    return {**_in_flight(state, event), "capture_due_at_ms": None}


def _not_done(state: PaymentState, event: PaymentEvent) -> Changes:
    """A capture, void or refund that the network refused, or never got."""
    effect = _declined if event.decline_code is not None else _failed
    return effect(state, event)


def _settled(state: PaymentState, event: PaymentEvent) -> Changes:
    return {"settled_at_ms": event.occurred_at_ms}


def _dispute_opened(state: PaymentState, event: PaymentEvent) -> Changes:
    opened = DisputeState(event.dispute_id or "", event.amount_minor, "open")
    return {"disputes": (*state.disputes, opened)}


def _dispute_closed(state: PaymentState, event: PaymentEvent) -> Changes:
    status = "won" if event.type == EventType.DISPUTE_WON else "lost"
    return {
        "disputes": tuple(
            replace(d, status=status) if d.dispute_id == event.dispute_id else d
            for d in state.disputes
        )
    }


_EFFECTS: dict[str, Callable[[PaymentState, PaymentEvent], Changes]] = {
    EventType.CREATED: _created,
    EventType.REQUIRES_ACTION: _requires_action,
    EventType.ACTION_COMPLETED: _in_flight,
    EventType.REROUTED: _rerouted,
    EventType.AUTHORIZED: _authorized,
    EventType.DECLINED: _not_authorized,
    EventType.FAILED: _not_authorized,
    EventType.OUTCOME_UNKNOWN: _unknown,
    EventType.RESOLUTION_REQUESTED: _unknown,
    EventType.CAPTURE_REQUESTED: _taken_in_hand,
    EventType.CAPTURED: _approved,
    EventType.CAPTURE_FAILED: _not_done,
    EventType.VOID_REQUESTED: _taken_in_hand,
    EventType.VOIDED: _approved,
    EventType.VOID_FAILED: _not_done,
    EventType.REFUND_REQUESTED: _in_flight,
    EventType.REFUND_SUCCEEDED: _approved,
    EventType.REFUND_FAILED: _not_done,
    EventType.SETTLED: _settled,
    EventType.DISPUTE_OPENED: _dispute_opened,
    EventType.DISPUTE_WON: _dispute_closed,
    EventType.DISPUTE_LOST: _dispute_closed,
}
