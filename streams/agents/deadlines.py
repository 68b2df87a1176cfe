"""Deadlines of payments: the command of each deadline that has passed."""

from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS
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
    headers = record_headers(command.command_id, command.kind, command.issued_at_ms, GROUP)
    return DueRecord(
        command.command_id, PAYMENTS_COMMANDS, command.payment_id, encode(command), headers
    )
