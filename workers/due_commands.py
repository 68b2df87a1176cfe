"""Due entries of a table become records, once each while the record is on its way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from engine import EngineApp
from runtime import log
from runtime.clock import now_ms
from workers.recently_sent import RecentlySent
from workers.send import Send


class DueTable(Protocol):
    """The part of a table that is needed here."""

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        """Committed entries that are due, earliest first."""


class DueRecord(NamedTuple):
    """A record to send; records with the same id have the same effect."""

    record_id: str
    topic: str
    key: str
    value: bytes
    headers: dict[str, bytes]


ToRecord = Callable[[str, Any, int], DueRecord | None]
"""(key, entry, now) -> what to send for a due entry; None: nothing any more."""


class DueLimits(NamedTuple):
    """`sends_max` per run, `in_flight_max` sent and without visible effect (None: no limit)."""

    sends_max: int
    resend_after_seconds: float
    in_flight_max: int | None = None


class DueCommands:
    """Sends a record for each due entry.

    The table reports an entry as due until its record had its effect. So a record that was sent is
    not sent again before `resend_after_seconds`; one that is sent twice must have one effect.
    """

    def __init__(self, table: DueTable, to_record: ToRecord, send: Send, limits: DueLimits) -> None:
        self._table = table
        self._to_record = to_record
        self._send = send
        self._limits = limits
        self._sent = RecentlySent(limits.resend_after_seconds)

    async def run_due(self, now_ms: int) -> int:
        """Send what is due and not on its way; returns how many. Raises what `send` raises."""
        self._sent.expire(now_ms)
        records: list[DueRecord] = []
        for key, entry in self._table.due(now_ms, self._limits.sends_max + len(self._sent)):
            record = self._to_record(key, entry, now_ms)
            if record is not None and self._may_send(record, len(records)):
                records.append(record)
        await asyncio.gather(*(self._send_one(record, now_ms) for record in records))
        return len(records)

    def _may_send(self, record: DueRecord, chosen: int) -> bool:
        if record.record_id in self._sent or chosen >= self._limits.sends_max:
            return False
        in_flight_max = self._limits.in_flight_max
        return in_flight_max is None or len(self._sent) + chosen < in_flight_max

    async def _send_one(self, record: DueRecord, now_ms: int) -> None:
        await self._send(record.topic, record.key, record.value, record.headers)
        self._sent.add(record.record_id, now_ms)


def run_regularly(
    app: EngineApp, interval_seconds: float, run: Callable[[int], Awaitable[int]], logger_name: str
) -> None:
    """Give the app a timer that calls `run(now)`; what a run could not send, the next one sends."""
    logger = log.get(logger_name)

    @app.timer(interval=interval_seconds)
    async def run_due() -> None:
        try:
            await run(now_ms())
        except Exception as error:  # the broker is unavailable
            logger.warning("due_records_not_sent", error=repr(error))
