"""What stays of an archived payment: a stub, against which its history is checked."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from schemas.enums import ArchiveCommandKind, PaymentStatus, Source
from schemas.ids import command_id, fingerprint
from schemas.records import HistoryRequest, PaymentCommand, PaymentEvent
from streams.domain.evolve import SequenceGap, evolve
from streams.domain.history_codec import HistoryMismatch
from streams.domain.policy import Policy
from streams.domain.schedule import next_due
from streams.domain.state import OperationState, PaymentState
from streams.domain.transitions import TERMINAL_STATUSES

ARCHIVABLE_STATUSES = TERMINAL_STATUSES | {
    PaymentStatus.NEW,
    PaymentStatus.CAPTURED,
    PaymentStatus.SETTLED,
}
"""Main states in which nothing happens by itself; NEW has only rejected commands."""
_DIGEST_BYTES = 16
_MS = 1000


class WaitingCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command that waits for its payment's history, and the trace that it belongs to."""

    command: PaymentCommand
    trace: bytes | None = None


class ArchivedPayment(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The stub of an archived payment.

    `attempt` counts the requests for its history; `waiting` are commands that need it.
    """

    merchant_id: str
    mode: str
    sequence: int
    status: str
    digest: bytes
    attempt: int = 0
    requested_at_ms: int = 0
    waiting: tuple[WaitingCommand, ...] = ()


def archive_due_at_ms(state: PaymentState, policy: Policy) -> int | None:
    """When the payment may leave the table; None while something may still happen by itself."""
    if state.status not in ARCHIVABLE_STATUSES or next_due(state) is not None:
        return None
    if any(operation.pending for operation in state.operations):
        return None
    if any(dispute.status == "open" for dispute in state.disputes):
        return None
    return state.updated_at_ms + policy.archive_after_seconds * _MS


def archive_command(state: PaymentState, now_ms: int, policy: Policy) -> PaymentCommand | None:
    """The command that moves the payment out of the table, if its time has come."""
    due_at_ms = archive_due_at_ms(state, policy)
    if due_at_ms is None or now_ms < due_at_ms:
        return None
    return archive_control_command(
        state,
        ArchiveCommandKind.ARCHIVE,
        f"{state.sequence}@{due_at_ms}",
        now_ms,
        Source.ARCHIVE,
    )


def archive_control_command(
    payment: PaymentState | HistoryRequest,
    kind: ArchiveCommandKind,
    subject: str,
    now_ms: int,
    source: Source,
    **fields: Any,
) -> PaymentCommand:
    """A command about where the payment is kept; `subject` distinguishes it from others."""
    return PaymentCommand(
        command_id=command_id(payment.payment_id, kind, subject),
        payment_id=payment.payment_id,
        merchant_id=payment.merchant_id,
        mode=payment.mode,
        kind=kind,
        fingerprint=fingerprint({"kind": kind.value, "subject": subject}),
        issued_at_ms=now_ms,
        source=source,
        **fields,
    )


def archive_stub(state: PaymentState) -> ArchivedPayment:
    """What stays of the payment in the table of archived payments."""
    return ArchivedPayment(
        merchant_id=state.merchant_id,
        mode=state.mode,
        sequence=state.sequence,
        status=state.status,
        digest=digest(state),
    )


def rehydrate(
    payment_id: str, archived: ArchivedPayment, events: Iterable[PaymentEvent]
) -> PaymentState:
    """The payment as it was when it was archived. Raises HistoryMismatch."""
    state: PaymentState | None = None
    for event in events:
        if event.payment_id != payment_id:
            raise HistoryMismatch(f"event {event.event_id} is of another payment")
        try:
            state = evolve(state, event)
        except (SequenceGap, ValueError) as error:
            raise HistoryMismatch(str(error)) from error
    sequence = 0 if state is None else state.sequence
    if state is None or sequence != archived.sequence:
        raise HistoryMismatch(f"{sequence} events came, the payment had {archived.sequence}")
    if digest(state) != archived.digest:
        raise HistoryMismatch("the events lead to another state than the payment had")
    return state


def digest(state: PaymentState) -> bytes:
    """128 bits over all that a decision could depend on.

    The fields are named one by one, so that a field that a later release adds changes no digest.
    `system_commands` is left out, since its length is a setting of the code.
    """
    fields = (
        (state.payment_id, state.merchant_id, state.mode, state.status, state.sequence),
        (state.currency, state.requested_minor, state.authorized_minor, state.captured_minor),
        (state.refunded_minor, state.fees_minor, state.fee_basis_points, state.fee_fixed_minor),
        (state.capture_method, state.capture_delay_seconds, state.idempotency_key),
        (state.reference, state.return_url, state.network_reference, state.network),
        (state.decline_code, state.created_at_ms, state.updated_at_ms, state.settled_at_ms),
        [_fields_of(operation) for operation in state.operations],
        [(d.dispute_id, d.amount_minor, d.status) for d in state.disputes],
        [(c.command_id, c.fingerprint, c.reason) for c in state.client_commands],
        state.create_fingerprint,
    )
    return blake2b(msgspec.msgpack.encode(fields), digest_size=_DIGEST_BYTES).digest()


def _fields_of(operation: OperationState) -> tuple[object, ...]:
    done = (operation.attempt, operation.status, operation.final)
    named = (operation.refund_id, operation.network_reference)
    return (operation.operation, operation.number, operation.amount_minor, done, named)
