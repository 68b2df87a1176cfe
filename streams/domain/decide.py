"""`decide`: what one command does to one payment. Pure: no clock, no chance, no I/O.

Each command that is not a repeat ends in at least one event; a rejected one in `command.rejected`.
"""

from schemas.enums import (
    SYSTEM_COMMAND_KINDS,
    PaymentStatus,
    RejectionReason,
)
from schemas.payment_commands import FACT_COMMAND_KINDS
from schemas.records import PaymentCommand
from streams.domain.evolve import COMMANDS_REMEMBERED_MAX
from streams.domain.handlers import HANDLERS
from streams.domain.policy import Policy
from streams.domain.state import FINGERPRINT_CHARACTERS, PaymentState
from streams.domain.transition import CommandContext, Decision
from streams.domain.transitions import TABLE, Step

_NEW = PaymentStatus.NEW


def decide(state: PaymentState | None, command: PaymentCommand, policy: Policy) -> Decision:
    """Events and network requests of `command`, and the state after them.

    A command that was seen before (same id and fingerprint) leads to nothing. Raises ValueError if
    state and command belong to two payments.
    """
    if state is not None:
        if state.payment_id != command.payment_id:
            raise ValueError(f"{command.payment_id} came with the state of {state.payment_id}")
        if _seen(state, command):
            return Decision((), (), state)
    context = CommandContext(state, command, policy)
    reason = _rejection(context.state, command) or _step(context)
    if reason is not None:
        context.record_rejection(reason)
    return context.decision()


def _seen(state: PaymentState, command: PaymentCommand) -> bool:
    kept = command.fingerprint[:FINGERPRINT_CHARACTERS]
    memory = (
        state.system_commands if command.kind in SYSTEM_COMMAND_KINDS else state.client_commands
    )
    for seen in memory:
        if seen.command_id == command.command_id and seen.fingerprint == kept:
            return True
    return False


def _rejection(state: PaymentState, command: PaymentCommand) -> RejectionReason | None:
    """Why a command is rejected in every state of the payment; None if no such reason applies."""
    owned = state.merchant_id == command.merchant_id and state.mode == command.mode
    if not owned and state.status != _NEW:
        return RejectionReason.NO_SUCH_PAYMENT
    if command.kind in SYSTEM_COMMAND_KINDS:
        return None
    for seen in state.client_commands:
        if seen.command_id == command.command_id:
            return RejectionReason.IDEMPOTENCY_MISMATCH
    if command.kind in FACT_COMMAND_KINDS:
        return None
    if len(state.client_commands) >= COMMANDS_REMEMBERED_MAX:
        return RejectionReason.TOO_MANY_COMMANDS
    return None


def _step(context: CommandContext) -> RejectionReason | None:
    cell = TABLE.get((context.state.status, context.command.kind))
    if cell is None:
        return RejectionReason.UNKNOWN_KIND
    if isinstance(cell, Step):
        return HANDLERS[cell.name](context)
    return cell
