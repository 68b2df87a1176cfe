"""Where a payment is kept, around `decide`: in the table, or as a marker until it is needed.

`take` is to `decide` what a warehouse is to a shop. With and without archiving the same commands
lead to the same events; only commands of `ArchiveCommandKind` have none. Pure.
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
    restored,
)
from streams.domain.decide import decide
from streams.domain.history_codec import HistoryMismatch, unpack
from streams.domain.policy import Policy
from streams.domain.state import PaymentState
from streams.domain.transition import Decision

STORAGE_KINDS = frozenset(ArchiveCommandKind)
WAITING_MAX = 16
"""Commands that wait for one payment's history; more go to the dead letters, to be replayed."""
ASK_AGAIN_AFTER_MS = 86_400_000
"""A command that comes so long after the question asks again: the question may be lost."""


class TooManyWaiting(Exception):
    """More commands came than may wait for one payment's history."""


class Taken(Struct, frozen=True):
    """Where the payment is after a command, and what the command led to.

    `decisions` with the trace that each belongs to; `question` for the audit store; `refused` says
    why a history was not taken.
    """

    state: PaymentState | None = None
    marker: ArchivedPayment | None = None
    decisions: tuple[tuple[Decision, bytes | None], ...] = ()
    question: HistoryRequest | None = None
    refused: str | None = None


def take(
    state: PaymentState | None,
    marker: ArchivedPayment | None,
    command: PaymentCommand,
    policy: Policy,
    trace: bytes | None = None,
) -> Taken:
    """What a command leads to, wherever the payment is. Raises TooManyWaiting."""
    if command.kind == ArchiveCommandKind.ARCHIVE:
        return _archived(state, marker, command, policy)
    if command.kind == ArchiveCommandKind.HISTORY:
        return _answered(state, marker, command, policy)
    if marker is not None:
        return _waits(marker, command, trace)
    decision = decide(state, command, policy)
    return Taken(decision.state, None, ((decision, trace),))


def _archived(
    state: PaymentState | None,
    marker: ArchivedPayment | None,
    command: PaymentCommand,
    policy: Policy,
) -> Taken:
    """Only if nothing happened since the command was sent; it is checked as of its own time."""
    if state is None:
        return Taken(None, marker)
    wanted = archive_command(state, command.issued_at_ms, policy)
    if wanted is None or wanted.command_id != command.command_id:
        return Taken(state)
    return Taken(None, archive_stub(state))


def _waits(marker: ArchivedPayment, command: PaymentCommand, trace: bytes | None) -> Taken:
    """The first to wait asks; a copy of one that waits would be absorbed anyway."""
    longer = marker if _is_waiting(marker, command) else _with_waiting(marker, command, trace)
    if marker.waiting and command.issued_at_ms < marker.asked_at_ms + ASK_AGAIN_AFTER_MS:
        return Taken(None, longer)
    return _asked(longer, command)


def _is_waiting(marker: ArchivedPayment, command: PaymentCommand) -> bool:
    known = ((w.command.command_id, w.command.fingerprint) for w in marker.waiting)
    return (command.command_id, command.fingerprint) in known


def _with_waiting(
    marker: ArchivedPayment, command: PaymentCommand, trace: bytes | None
) -> ArchivedPayment:
    if len(marker.waiting) >= WAITING_MAX:
        raise TooManyWaiting(
            f"{command.payment_id} is archived and {WAITING_MAX} commands wait for its history:"
            " replay this one when they are done"
        )
    return replace(marker, waiting=(*marker.waiting, WaitingCommand(command, trace)))


def _asked(marker: ArchivedPayment, command: PaymentCommand, refused: str | None = None) -> Taken:
    asking = replace(marker, attempt=marker.attempt + 1, asked_at_ms=command.issued_at_ms)
    question = HistoryRequest(
        payment_id=command.payment_id,
        merchant_id=marker.merchant_id,
        mode=marker.mode,
        sequence=marker.sequence,
        attempt=asking.attempt,
        requested_at_ms=command.issued_at_ms,
        command_id=marker.waiting[0].command.command_id,
    )
    return Taken(None, asking, question=question, refused=refused)


def _answered(
    state: PaymentState | None,
    marker: ArchivedPayment | None,
    command: PaymentCommand,
    policy: Policy,
) -> Taken:
    """The history that was asked for last; any other answer changes nothing."""
    if marker is None or not marker.waiting or command.attempt != marker.attempt:
        return Taken(state, marker)
    try:
        back: PaymentState | None = restored(command.payment_id, marker, unpack(command.history))
    except HistoryMismatch as error:
        return _asked(marker, command, str(error))
    decisions = []
    for waiting in marker.waiting:
        decision = decide(back, waiting.command, policy)
        back = decision.state
        decisions.append((decision, waiting.trace))
    return Taken(back, None, tuple(decisions))
