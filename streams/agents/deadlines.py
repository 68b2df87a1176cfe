"""DeadlineScheduler: what the table says is due becomes commands, once each while they are on
their way.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol

from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS
from streams.agents.payments import GROUP
from streams.domain import PaymentState, deadline_command
from streams.settings import DeadlineSettings
from workers.recently_sent import RecentlySent


class DueTable(Protocol):
    """The part of the table of payments that deadlines need."""

    def due(self, now_ms: int, limit: int) -> list[tuple[str, PaymentState]]:
        """Committed entries that are due, earliest first."""


class Send(Protocol):
    """`EngineApp.produce`."""

    def __call__(
        self, topic: str, /, key: str, value: bytes, headers: Mapping[str, bytes]
    ) -> Awaitable[None]: ...


class DeadlineScheduler:
    """Sends the commands of deadlines that have passed.

    The table goes on to report a deadline until its command had its effect. So a command that was
    sent is left alone for `resend_after_seconds`; command ids derive from the deadline, so one that
    was sent twice has one effect all the same.
    """

    def __init__(self, table: DueTable, send: Send, settings: DeadlineSettings) -> None:
        self._table = table
        self._send = send
        self._settings = settings
        self._sent = RecentlySent(settings.resend_after_seconds)

    async def tick(self, now_ms: int) -> int:
        """Send what is due and not on its way; how many were sent. Raises what `send` raises."""
        self._sent.forget(now_ms)
        limit = self._settings.sends_max + len(self._sent)
        commands: list[PaymentCommand] = []
        for _, state in self._table.due(now_ms, limit):
            command = deadline_command(state, now_ms)
            if command is not None and self._may_send(command, len(commands)):
                commands.append(command)
        await asyncio.gather(*(self._send_one(command, now_ms) for command in commands))
        return len(commands)

    def _may_send(self, command: PaymentCommand, chosen: int) -> bool:
        room = self._settings.in_flight_max - len(self._sent) - chosen
        wanted = command.command_id not in self._sent
        return wanted and chosen < self._settings.sends_max and room > 0

    async def _send_one(self, command: PaymentCommand, now_ms: int) -> None:
        headers = record_headers(command.command_id, command.kind, command.issued_at_ms, GROUP)
        await self._send(
            PAYMENTS_COMMANDS, key=command.payment_id, value=encode(command), headers=headers
        )
        self._sent.note(command.command_id, now_ms)
