"""A slow scan of the table sends archive commands for inactive payments.

It is a scan and not a timer per payment: a timer would cost each settled payment a fifth of its
memory again, and a flood of payments to archive would delay the deadlines that matter.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from schemas.records import PaymentCommand
from streams.agents.deadlines import command_record
from streams.domain import Policy
from streams.domain.archive import archive_command
from streams.settings import ArchiveSettings
from workers.send import Send

_MS = 1000


class ScannedTable(Protocol):
    """The part of the table of payments that a scan needs."""

    @property
    def owned_partitions(self) -> frozenset[int]:
        """Partitions that this worker owns."""

    def scan(self, partition: int) -> Iterator[tuple[str, Any]]:
        """Entries of one of them; ends when this worker no longer owns it."""


class ArchiveScheduler:
    """Checks every payment once per scan, a bounded number per run.

    A command that is lost with its worker is sent again by the next scan; one that comes twice, or
    after the payment changed, does nothing.
    """

    def __init__(
        self, table: ScannedTable, send: Send, policy: Policy, settings: ArchiveSettings
    ) -> None:
        self._table = table
        self._send = send
        self._policy = policy
        self._settings = settings
        self._partitions: list[int] = []
        self._scan: Iterator[tuple[str, Any]] = iter(())
        self._next_scan_at_ms = 0

    async def run_due(self, now_ms: int) -> int:
        """Check some more payments; returns how many commands were sent.

        Raises what `send` raises.
        """
        commands = [
            command
            for _, state in self._next_entries(now_ms)
            if (command := archive_command(state, now_ms, self._policy)) is not None
        ]
        await asyncio.gather(*(self._send_one(command) for command in commands))
        return len(commands)

    def _next_entries(self, now_ms: int) -> list[tuple[str, Any]]:
        """Entries of one partition that this worker owns now."""
        count = self._settings.scan_entries_max
        entries = list(islice(self._scan, count))
        while not entries and self._next_partition(now_ms):
            entries = list(islice(self._scan, count))
        return entries

    def _next_partition(self, now_ms: int) -> bool:
        if not self._partitions:
            if now_ms < self._next_scan_at_ms:
                return False
            self._next_scan_at_ms = now_ms + int(self._settings.scan_interval_seconds * _MS)
            self._partitions = sorted(self._table.owned_partitions)
        while self._partitions:
            partition = self._partitions.pop()
            if partition in self._table.owned_partitions:
                self._scan = self._table.scan(partition)
                return True
        return False

    async def _send_one(self, command: PaymentCommand) -> None:
        record = command_record(command)
        await self._send(record.topic, record.key, record.value, record.headers)
