"""Deadlines of payments: the command of each deadline that has passed."""

from schemas.envelopes import to_message
from schemas.records import PaymentCommand
from streams.agents.payments import GROUP
from streams.domain import PaymentState, deadline_command
from streams.settings import DeadlineSettings
from workers.due_commands import DueCommands, DueLimits, DueRecord, DueTable
from workers.send import Send


def deadline_commands(table: DueTable, send: Send, settings: DeadlineSettings) -> DueCommands:
    """Sends the commands of deadlines that have passed.

    Command ids derive from the deadline, so a command that is sent twice has one effect.
    """
    limits = DueLimits(
        settings.sends_max, settings.resend_after_seconds, in_flight_max=settings.in_flight_max
    )
    return DueCommands(table, to_record, send, limits)


def to_record(_: str, state: PaymentState, now_ms: int) -> DueRecord | None:
    """The command of a payment's deadline, if it has passed."""
    command = deadline_command(state, now_ms)
    return None if command is None else command_record(command)


def command_record(command: PaymentCommand) -> DueRecord:
    """A payment command that this worker sends to itself."""
    return DueRecord(command.command_id, *to_message(command, GROUP))
