"""Deadlines: entries whose other side has not come in time are looked at, once each."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import ReconciliationRequest
from schemas.topics import RECONCILIATION_REQUESTS
from sinks.reconciliation.matching.outcome import look_request
from sinks.reconciliation.matching.state import PaymentMatch, ReportMatch
from sinks.reconciliation.report_poller import GROUP
from sinks.reconciliation.settings import ReconciliationSettings
from workers.recently_sent import RecentlySent

Send = Callable[[str, str, bytes, Mapping[str, bytes]], Awaitable[None]]


class DueTable(Protocol):
    """The part of the table that deadlines need."""

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        """Committed entries that are due, earliest first."""


class OverdueChecks:
    """Sends a look for what is overdue; the table reports it until the look had its effect."""

    def __init__(self, table: DueTable, send: Send, settings: ReconciliationSettings) -> None:
        self._table = table
        self._send = send
        self._settings = settings
        self._sent = RecentlySent(settings.resend_after_seconds)

    async def tick(self, now_ms: int) -> int:
        """Send what is due and not on its way; how many were sent. Raises what `send` raises."""
        self._sent.forget(now_ms)
        room = self._settings.overdue_checks_max
        found = self._table.due(now_ms, room + len(self._sent))
        chosen = [(key, entry) for key, entry in found if key not in self._sent][:room]
        await asyncio.gather(*(self._look(key, entry, now_ms) for key, entry in chosen))
        return len(chosen)

    async def _look(self, key: str, entry: PaymentMatch | ReportMatch, now_ms: int) -> None:
        request = _request(entry, now_ms)
        headers = record_headers(
            request.request_id, f"reconciliation.{request.kind}", now_ms, GROUP
        )
        await self._send(RECONCILIATION_REQUESTS, request.subject_id, encode(request), headers)
        self._sent.note(key, now_ms)


def _request(entry: PaymentMatch | ReportMatch, now_ms: int) -> ReconciliationRequest:
    if isinstance(entry, ReportMatch):
        return look_request(entry.report_id, now_ms, of_report=True)
    return look_request(entry.subject_id, now_ms, of_report=False)
