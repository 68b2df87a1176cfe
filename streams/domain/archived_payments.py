"""The front door of the domain: one command for one payment, in the table or archived (pure).

`handle` wraps `decide` for payments that may be archived: it archives or rehydrates the payment and
calls `decide` with the result. With and without archiving the same commands lead to the same
events; commands of `ArchiveCommandKind` lead to none.
"""

from msgspec import Struct
from msgspec.structs import replace

from schemas.enums import ArchiveCommandKind
from schemas.records import HistoryRequest, PaymentCommand
from streams.domain.archive import (
    ArchivedPayment,
    WaitingCommand,
    archive_command,
    archive_stub,
    rehydrate,
)
from streams.domain.decide import decide
from streams.domain.history_codec import HistoryMismatch, unpack
from streams.domain.policy import Policy
from streams.domain.state import PaymentState
from streams.domain.transition import Decision

Stored = PaymentState | ArchivedPayment | None
"""What the tables hold of a payment: its state, its archive stub, or nothing. Never both."""
ARCHIVE_KINDS = frozenset(ArchiveCommandKind)
WAITING_MAX = 16
"""Commands that wait for one payment's history; more go to the dead letters, to be replayed."""
REQUEST_AGAIN_AFTER_MS = 86_400_000
"""A command that comes this long after a history request repeats the request: it may be lost."""


class TooManyWaiting(Exception):
    """More commands came than may wait for one payment's history."""


class Handled(Struct, frozen=True, gc=False):
    """What a command leads to: what is stored of the payment now, and what to emit.

    Each decision comes with the trace of its command. `history_rejected` says why a history was
    not accepted.
    """

    stored: Stored = None
    decisions: tuple[tuple[Decision, bytes | None], ...] = ()
    history_request: HistoryRequest | None = None
    history_rejected: str | None = None


def handle(
    stored: Stored, command: PaymentCommand, policy: Policy, trace: bytes | None = None
) -> Handled:
    """What a command leads to, wherever the payment is kept. Raises TooManyWaiting."""
    if command.kind in ARCHIVE_KINDS:
        if command.kind == ArchiveCommandKind.ARCHIVE:
            return _archive(stored, command, policy)
        return _restore(stored, command, policy)
    if isinstance(stored, ArchivedPayment):
        return _wait(stored, command, trace)
    decision = decide(stored, command, policy)
    return Handled(decision.state, ((decision, trace),))


def _archive(stored: Stored, command: PaymentCommand, policy: Policy) -> Handled:
    """Only if nothing happened since the command was sent; it is checked as of its own time."""
    if not isinstance(stored, PaymentState):
        return Handled(stored)
    due = archive_command(stored, command.issued_at_ms, policy)
    if due is None or due.command_id != command.command_id:
        return Handled(stored)
    return Handled(archive_stub(stored))


def _wait(archived: ArchivedPayment, command: PaymentCommand, trace: bytes | None) -> Handled:
    """The first command that waits requests the history; a copy of one that waits adds nothing."""
    waiting = archived if _is_waiting(archived, command) else _enqueue(archived, command, trace)
    again_at_ms = archived.requested_at_ms + REQUEST_AGAIN_AFTER_MS
    if archived.waiting and command.issued_at_ms < again_at_ms:
        return Handled(waiting)
    return _request_history(waiting, command)


def _is_waiting(archived: ArchivedPayment, command: PaymentCommand) -> bool:
    known = ((w.command.command_id, w.command.fingerprint) for w in archived.waiting)
    return (command.command_id, command.fingerprint) in known


def _enqueue(
    archived: ArchivedPayment, command: PaymentCommand, trace: bytes | None
) -> ArchivedPayment:
    if len(archived.waiting) >= WAITING_MAX:
        raise TooManyWaiting(
            f"{command.payment_id} is archived and {WAITING_MAX} commands wait for its history."
            " Replay this one when they are done."
        )
    return replace(archived, waiting=(*archived.waiting, WaitingCommand(command, trace)))


def _request_history(
    archived: ArchivedPayment, command: PaymentCommand, rejected: str | None = None
) -> Handled:
    attempt, at_ms = archived.attempt + 1, command.issued_at_ms
    request = HistoryRequest(
        payment_id=command.payment_id,
        merchant_id=archived.merchant_id,
        mode=archived.mode,
        sequence=archived.sequence,
        attempt=attempt,
        requested_at_ms=at_ms,
        command_id=archived.waiting[0].command.command_id,
    )
    requested = replace(archived, attempt=attempt, requested_at_ms=at_ms)
    return Handled(requested, history_request=request, history_rejected=rejected)


def _restore(stored: Stored, command: PaymentCommand, policy: Policy) -> Handled:
    """The history that was requested last; any other history changes nothing."""
    if not isinstance(stored, ArchivedPayment) or not stored.waiting:
        return Handled(stored)
    if command.attempt != stored.attempt:
        return Handled(stored)
    try:
        state = rehydrate(command.payment_id, stored, unpack(command.history))
    except HistoryMismatch as error:
        return _request_history(stored, command, str(error))
    return _decide_waiting(state, stored.waiting, policy)


def _decide_waiting(
    state: PaymentState | None, waiting: tuple[WaitingCommand, ...], policy: Policy
) -> Handled:
    decisions = []
    for each in waiting:
        decision = decide(state, each.command, policy)
        state = decision.state
        decisions.append((decision, each.trace))
    return Handled(state, tuple(decisions))
