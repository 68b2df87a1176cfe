"""Polls the network and the bank, and writes new lines to Kafka.

Nothing is remembered beyond the process: lines have ids, and the matching counts each once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx2

from runtime import log
from runtime.clock import now_ms
from runtime.telemetry import counter
from schemas.envelopes import to_message
from schemas.records import BankLine, SettlementLine
from sinks.reconciliation import reports
from sinks.reconciliation.settings import ReconciliationSettings
from workers.catalogue import WORKERS
from workers.send import Send

V = TypeVar("V")
GROUP = WORKERS["reconciliation"].group
_LOG = log.get("sinks.reconciliation.report_poller")
_REPORTS_REMEMBERED_MAX = 10_000


class SourceUnavailable(Exception):
    """The network or the bank did not respond as expected; the next poll tries again."""


class ReportPoller:
    """Polls while `may_poll()`: one worker of the group does."""

    def __init__(
        self,
        network_urls: Sequence[str],
        bank_url: str,
        send: Send,
        settings: ReconciliationSettings,
        may_poll: Callable[[], bool],
    ) -> None:
        self._network_urls = network_urls
        self._bank_url = bank_url
        self._send = send
        self._settings = settings
        self._may_poll = may_poll
        self._reports: OrderedDict[str, None] = OrderedDict()
        self._statement_lines: OrderedDict[str, BankLine] = OrderedDict()

    async def run(self, should_stop: Callable[[], bool]) -> None:
        """Run until `should_stop` or cancelled."""
        timeout = self._settings.read_timeout_seconds
        async with httpx2.AsyncClient(timeout=timeout, trust_env=False) as client:
            while not should_stop():
                if self._may_poll():
                    for url in self._network_urls:
                        await self._attempt("network", self._read_reports(client, url))
                    await self._attempt("bank", self._read_statement(client))
                await asyncio.sleep(self._settings.poll_seconds)

    async def _attempt(self, source: str, poll: Awaitable[None]) -> None:
        """A poll that fails is repeated at the next interval: nothing is lost."""
        try:
            await poll
        except Exception as error:
            counter("paystream_reconciliation_read_failures_total").labels(source).inc()
            _LOG.warning("source_unavailable", source=source, error=repr(error))

    async def _read_reports(self, client: httpx2.AsyncClient, network_url: str) -> None:
        listed = await self._get(client, f"{network_url}/v1/settlements{self._since()}")
        rejected: Exception | None = None
        for head in reports.read_list(listed):
            if head.report_id in self._reports:
                continue
            try:
                lines = await self._report(client, network_url, head.report_id)
            except reports.ReportRejected as error:
                rejected = error  # the others are still read
                continue
            await self._publish_lines(lines)
            _remember(self._reports, head.report_id, None, _REPORTS_REMEMBERED_MAX)
        if rejected is not None:
            raise rejected

    async def _report(
        self, client: httpx2.AsyncClient, network_url: str, report_id: str
    ) -> list[SettlementLine]:
        url = f"{network_url}/v1/settlements/{report_id}"
        if self._settings.report_format == "csv":
            return reports.read_csv(await self._get(client, f"{url}.csv"))
        return reports.read_json(await self._get(client, url))

    async def _read_statement(self, client: httpx2.AsyncClient) -> None:
        url = f"{self._bank_url}/v1/statements/lines{self._since()}"
        found = reports.read_statement(await self._get(client, url))
        fresh = [line for line in found if self._statement_lines.get(line.line_id) != line]
        await self._publish_statement_lines(fresh)
        for line in fresh:
            limit = self._settings.statement_lines_remembered_max
            _remember(self._statement_lines, line.line_id, line, limit)

    async def _publish_lines(self, lines: Sequence[SettlementLine]) -> None:
        await self._publish(lines)
        counter("paystream_reconciliation_lines_total").labels("network").inc(len(lines))

    async def _publish_statement_lines(self, lines: Sequence[BankLine]) -> None:
        await self._publish(lines)
        counter("paystream_reconciliation_lines_total").labels("bank").inc(len(lines))

    async def _publish(self, lines: Sequence[SettlementLine | BankLine]) -> None:
        size = self._settings.sends_at_once_max
        for start in range(0, len(lines), size):
            sends = [self._send(*to_message(x, GROUP)) for x in lines[start : start + size]]
            await asyncio.gather(*sends)

    def _since(self) -> str:
        now = datetime.fromtimestamp(now_ms() / 1000, UTC)
        return f"?since={(now - timedelta(days=self._settings.lookback_days)).date().isoformat()}"

    async def _get(self, client: httpx2.AsyncClient, url: str) -> bytes:
        """The whole response, within its bound. Raises SourceUnavailable."""
        parts: list[bytes] = []
        left = self._settings.response_bytes_max
        async with client.stream("GET", url) as response:
            if response.status_code != httpx2.codes.OK:
                raise SourceUnavailable(f"{url} responded with HTTP {response.status_code}")
            async for part in response.aiter_bytes():
                parts.append(part)
                left -= len(part)
                if left < 0:
                    raise SourceUnavailable(
                        f"{url} is too long. Raise [reconciliation] response_bytes_max."
                    )
        return b"".join(parts)


def _remember(known: OrderedDict[str, V], key: str, value: V, limit: int) -> None:
    known[key] = value
    while len(known) > limit:
        known.popitem(last=False)
