"""Deadlines: what the table says is due becomes commands, once each while they are on their way."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from typing import Protocol

from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS
from streams.agents.payments import GROUP
from streams.domain import PaymentState, deadline_command
from streams.settings import DeadlineSettings

_MS = 1000


class DueTable(Protocol):
    """The part of the table of payments that deadlines need."""

    def due(self, now_ms: int, limit: int) -> list[tuple[str, PaymentState]]:
        """Committed entries that are due, earliest first."""


class Send(Protocol):
    """`EngineApp.producer_send`."""

    def __call__(
        self, topic: str, /, key: str, value: bytes, headers: Mapping[str, bytes]
    ) -> Awaitable[None]: ...


class Deadlines:
    """Sends the commands of deadlines that have passed.

    The table goes on to report a deadline until its command had its effect. So a command that was
    sent is left alone for `resend_after_seconds`; command ids derive from the deadline, so one that
    was sent twice has one effect all the same.
    """

    def __init__(self, table: DueTable, send: Send, settings: DeadlineSettings) -> None:
        self._table = table
        self._send = send
        self._settings = settings
        self._sent_at_ms: OrderedDict[str, int] = OrderedDict()

    async def tick(self, now_ms: int) -> int:
        """Send what is due and not on its way; how many were sent. Raises what `send` raises."""
        self._forget(now_ms)
        limit = self._settings.sends_max + len(self._sent_at_ms)
        commands: list[PaymentCommand] = []
        for _, state in self._table.due(now_ms, limit):
            command = deadline_command(state, now_ms)
            if command is not None and self._may_send(command, len(commands)):
                commands.append(command)
        await asyncio.gather(*(self._send_one(command, now_ms) for command in commands))
        return len(commands)

    def _may_send(self, command: PaymentCommand, chosen: int) -> bool:
        room = self._settings.in_flight_max - len(self._sent_at_ms) - chosen
        wanted = command.command_id not in self._sent_at_ms
        return wanted and chosen < self._settings.sends_max and room > 0

    async def _send_one(self, command: PaymentCommand, now_ms: int) -> None:
        headers = record_headers(command.command_id, command.kind, command.issued_at_ms, GROUP)
        await self._send(
            PAYMENTS_COMMANDS, key=command.payment_id, value=encode(command), headers=headers
        )
        self._sent_at_ms[command.command_id] = now_ms

    def _forget(self, now_ms: int) -> None:
        """Those that were sent long ago may be sent again; they stand in the order of sending."""
        oldest_ms = now_ms - int(self._settings.resend_after_seconds * _MS)
        while self._sent_at_ms:
            command_id, sent_at_ms = next(iter(self._sent_at_ms.items()))
            if sent_at_ms > oldest_ms:
                return
            del self._sent_at_ms[command_id]
