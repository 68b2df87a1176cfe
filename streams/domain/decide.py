"""`decide`: what one command does to one payment. Pure: no clock, no chance, no I/O.

Each command that is not a repeat ends in at least one event; a refused one in `command.rejected`.
"""

from schemas.enums import PaymentStatus, RejectionReason
from schemas.records import PaymentCommand
from streams.domain.capture import capture, capture_due, expire, void
from streams.domain.create import already_created, claim
from streams.domain.evolve import COMMANDS_REMEMBERED_MAX, SYSTEM_COMMAND_KINDS
from streams.domain.network_results import network_result
from streams.domain.operations import action_timed_out, complete_action, resolve_unknown
from streams.domain.policy import Policy
from streams.domain.refunds import (
    lose_dispute,
    open_dispute,
    refund,
    settle,
    settlement_due,
    win_dispute,
)
from streams.domain.state import FINGERPRINT_CHARACTERS, PaymentState
from streams.domain.transition import CommandContext, Decision, Handler
from streams.domain.transitions import TABLE, Step

HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        claim,
        already_created,
        complete_action,
        capture,
        capture_due,
        void,
        refund,
        network_result,
        resolve_unknown,
        action_timed_out,
        expire,
        settle,
        settlement_due,
        open_dispute,
        win_dispute,
        lose_dispute,
    )
}
"""Handler name, as it stands in the transition table -> handler."""
_NEW = PaymentStatus.NEW


def decide(state: PaymentState | None, command: PaymentCommand, policy: Policy) -> Decision:
    """Events and network requests of `command`, and the state after them.

    A command that was seen (same id and fingerprint) leads to nothing. Raises ValueError if state
    and command are of two payments.
    """
    if state is not None:
        if state.payment_id != command.payment_id:
            raise ValueError(f"{command.payment_id} was handed the state of {state.payment_id}")
        if _seen(state, command):
            return Decision((), (), state)
    turn = CommandContext(state, command, policy)
    reason = _refused(turn.state, command) or _step(turn)
    if reason is not None:
        turn.rejected(reason)
    return turn.decision()


def _seen(state: PaymentState, command: PaymentCommand) -> bool:
    kept = command.fingerprint[:FINGERPRINT_CHARACTERS]
    memory = state.echoes if command.kind in SYSTEM_COMMAND_KINDS else state.commands
    for seen in memory:
        if seen.command_id == command.command_id and seen.fingerprint == kept:
            return True
    return False


def _refused(state: PaymentState, command: PaymentCommand) -> RejectionReason | None:
    """Why a command is refused in whatever state the payment is."""
    owned = state.merchant_id == command.merchant_id and state.mode == command.mode
    if not owned and state.status != _NEW:
        return RejectionReason.NO_SUCH_PAYMENT
    if command.kind in SYSTEM_COMMAND_KINDS:
        return None
    for seen in state.commands:
        if seen.command_id == command.command_id:
            return RejectionReason.IDEMPOTENCY_MISMATCH
    if len(state.commands) >= COMMANDS_REMEMBERED_MAX:
        return RejectionReason.TOO_MANY_COMMANDS
    return None


def _step(turn: CommandContext) -> RejectionReason | None:
    cell = TABLE.get((turn.state.status, turn.command.kind))
    if cell is None:
        return RejectionReason.UNKNOWN_KIND
    if isinstance(cell, Step):
        return HANDLERS[cell.handler](turn)
    return cell
