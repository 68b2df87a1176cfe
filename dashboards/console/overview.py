"""One picture of the system, refreshed in rounds and shared by all viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import httpx2

from dashboards.console.ledger_queries import OVERVIEW, LedgerReader
from dashboards.console.process_status import lags, processes
from dashboards.console.settings import ConsoleSettings
from runtime import log
from runtime.clock import now_ms
from runtime.settings import connections
from runtime.telemetry import gauge

Section = dict[str, Any]
"""{"rows": [...]} or, when its part is unavailable, {"error": "a sentence"}."""

_ERROR_CHARACTERS_MAX = 300


class Overview:
    """`sections` is the newest picture; an unavailable part has its error in its own section."""

    def __init__(self, env: Mapping[str, str], settings: ConsoleSettings) -> None:
        self._settings = settings
        self._log = log.get("dashboards.console")
        at = connections(env)
        self.ledger = LedgerReader(at.analyst, settings) if at.analyst.url else None
        self._kafka = at.kafka
        self._metrics_urls = [u for u in env.get("PROMETHEUS_URLS", "").split(",") if u]
        self.sections: dict[str, Section] = {}
        self.taken_at_ms = 0
        self._http = httpx2.Client(timeout=min(2.0, settings.answer_seconds_max))
        self._viewed_at = -settings.viewer_seconds
        self._viewer = asyncio.Event()
        self._round_ended = asyncio.Event()

    async def fresh(self) -> None:
        """A page asks: rounds go on from now, and a picture from before they stopped is renewed."""
        idle = not self._is_viewed
        self._viewed_at = time.monotonic()
        self._viewer.set()
        if idle:
            self._round_ended.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.answer_seconds_max):
                    await self._round_ended.wait()

    @property
    def _is_viewed(self) -> bool:
        return time.monotonic() - self._viewed_at < self._settings.viewer_seconds

    async def follow(self) -> None:
        """Ask in rounds until cancelled: once at the start, and as long as a page is open."""
        while True:
            began = time.monotonic()
            await self.refresh()
            took = time.monotonic() - began
            gauge("paystream_console_refresh_seconds").set(took)
            share = self._settings.refresh_share_max
            self._round_ended.set()
            await asyncio.sleep(max(self._settings.refresh_seconds, took * (1 - share) / share))
            if not self._is_viewed:
                self._viewer.clear()
                await self._viewer.wait()

    async def refresh(self) -> None:
        """One round: Kafka, the processes and ClickHouse at the same time."""
        asked = await asyncio.gather(
            self._ask("lags", self._lags),
            self._ask("processes", self._processes),
            self._ask_ledger(),
        )
        self.sections = asked[2] | {"lags": asked[0], "processes": asked[1]}
        self.taken_at_ms = now_ms()

    async def _ask(self, name: str, question: Callable[[], list[dict[str, Any]]]) -> Section:
        try:
            async with asyncio.timeout(self._settings.answer_seconds_max):
                return {"rows": await asyncio.to_thread(question)}
        except Exception as error:  # whatever a part does, the page says it
            sentence = (str(error) or type(error).__name__)[:_ERROR_CHARACTERS_MAX]
            self._log.warning("a part does not answer", section=name, error=sentence)
            return {"error": sentence}

    async def _ask_ledger(self) -> dict[str, Section]:
        """One question after the other; the first failure answers for those that follow."""
        if self.ledger is None:
            return {name: {"error": "CLICKHOUSE_URL is not set."} for name in OVERVIEW}
        found: dict[str, Section] = {}
        for name in OVERVIEW:
            found[name] = await self._ask(name, partial(self.ledger.section, name))
            if "error" in found[name]:
                return dict.fromkeys(OVERVIEW, found[name]) | found
        return found

    def _lags(self) -> list[dict[str, Any]]:
        if not self._kafka.bootstrap_servers:
            raise LookupError("KAFKA_BOOTSTRAP_SERVERS is not set.")
        return lags(self._kafka)

    def _processes(self) -> list[dict[str, Any]]:
        return processes(self._metrics_urls, self._http)
