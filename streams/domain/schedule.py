"""Deadlines of a payment: which one is next, and its command."""

from typing import NamedTuple

from schemas.enums import CommandKind, PaymentStatus, Source
from schemas.ids import command_id, fingerprint
from schemas.records import PaymentCommand
from streams.domain.state import OperationState, PaymentState


class Due(NamedTuple):
    """A deadline: when, which command it leads to, and for which operation if for one."""

    at_ms: int
    kind: CommandKind
    operation: OperationState | None = None


def next_due(state: PaymentState) -> Due | None:
    """The earliest deadline of a payment; None if nothing happens by itself."""
    earliest = _main_due(state)
    for operation in state.operations:
        at_ms = operation.due_at_ms
        if at_ms is not None and operation.pending and (earliest is None or at_ms < earliest.at_ms):
            earliest = Due(at_ms, CommandKind.RESOLVE_UNKNOWN, operation)
    return earliest


def _main_due(state: PaymentState) -> Due | None:
    match state.status:
        case PaymentStatus.REQUIRES_ACTION if state.action_due_at_ms is not None:
            return Due(state.action_due_at_ms, CommandKind.ACTION_TIMED_OUT)
        case PaymentStatus.CAPTURED if state.settlement_due_at_ms is not None:
            return Due(state.settlement_due_at_ms, CommandKind.SETTLEMENT_DUE)
        case PaymentStatus.AUTHORIZED if state.capture_due_at_ms is not None:
            return Due(state.capture_due_at_ms, CommandKind.CAPTURE_DUE)
        case PaymentStatus.AUTHORIZED | PaymentStatus.PARTIALLY_CAPTURED if (
            state.expires_at_ms is not None
        ):
            return Due(state.expires_at_ms, CommandKind.EXPIRE)
    return None


def next_due_at_ms(state: PaymentState) -> int | None:
    """When the payment's earliest deadline is."""
    due = next_due(state)
    return None if due is None else due.at_ms


def deadline_command(state: PaymentState, now_ms: int) -> PaymentCommand | None:
    """The command of a deadline that has passed, else None.

    Its id is derived from the deadline: sent twice, it has one effect.
    """
    due = next_due(state)
    if due is None or due.at_ms > now_ms:
        return None
    operation_id = due.operation.key(state.payment_id) if due.operation is not None else None
    return PaymentCommand(
        command_id=command_id(state.payment_id, due.kind, f"{operation_id or ''}@{due.at_ms}"),
        payment_id=state.payment_id,
        merchant_id=state.merchant_id,
        mode=state.mode,
        kind=due.kind,
        fingerprint=fingerprint({"kind": due.kind, "due_at_ms": due.at_ms}),
        issued_at_ms=now_ms,
        source=Source.DEADLINES,
        operation_id=operation_id,
    )
