"""A slow scan of the table sends archive commands for payments at rest.

A sweep and no due time in the table's index: the index would cost each settled payment a fifth of
its memory again, and a flood of payments to archive would stand before the deadlines that matter.
"""

import asyncio
from typing import Any, Protocol

from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS
from streams.agents.deadlines import Send
from streams.agents.payments import GROUP
from streams.domain import Policy
from streams.domain.archive import archive_command
from streams.settings import ArchiveSettings

_MS = 1000


class SweptTable(Protocol):
    """The part of the table of payments that a sweep needs."""

    @property
    def owned_partitions(self) -> frozenset[int]:
        """Partitions that this worker has."""

    def partition_state(self, number: int) -> Any:
        """One of them: `store.items()`, `get(key)`."""


class ArchiveScheduler:
    """OverdueChecks at every payment once per sweep, a bounded number per tick.

    A command that is lost with its worker is sent again by the next sweep; one that comes twice, or
    after the payment changed, does nothing.
    """

    def __init__(
        self, table: SweptTable, send: Send, policy: Policy, settings: ArchiveSettings
    ) -> None:
        self._table = table
        self._send = send
        self._policy = policy
        self._settings = settings
        self._partitions: list[int] = []
        self._keys: list[str] = []
        self._partition = -1
        self._next_sweep_at_ms = 0

    async def tick(self, now_ms: int) -> int:
        """Look at some more payments; how many commands were sent. Raises what `send` raises."""
        commands = [
            command
            for key in self._next_keys(now_ms)
            if (state := self._table.partition_state(self._partition).get(key)) is not None
            and (command := archive_command(state, now_ms, self._policy)) is not None
        ]
        await asyncio.gather(*(self._send_one(command) for command in commands))
        return len(commands)

    def _next_keys(self, now_ms: int) -> list[str]:
        """Keys of one partition that is ours now."""
        if self._partition not in self._table.owned_partitions:
            self._keys = []
        if not self._keys and not self._next_partition(now_ms):
            return []
        count = self._settings.sweep_entries_max
        keys, self._keys = self._keys[-count:], self._keys[:-count]
        return keys

    def _next_partition(self, now_ms: int) -> bool:
        if not self._partitions:
            if now_ms < self._next_sweep_at_ms:
                return False
            self._next_sweep_at_ms = now_ms + int(self._settings.sweep_seconds * _MS)
            self._partitions = sorted(self._table.owned_partitions)
        while self._partitions:
            self._partition = self._partitions.pop()
            if self._partition in self._table.owned_partitions:
                store = self._table.partition_state(self._partition).store
                self._keys = [key for key, _ in store.items()]
            if self._keys:
                return True
        return False

    async def _send_one(self, command: PaymentCommand) -> None:
        headers = record_headers(command.command_id, command.kind, command.issued_at_ms, GROUP)
        await self._send(
            PAYMENTS_COMMANDS, key=command.payment_id, value=encode(command), headers=headers
        )
