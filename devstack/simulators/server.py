"""The HTTP server under each simulator: its own pages, limits, metrics and a clean end.

Errors are JSON `{"error": code, "message": sentence}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

import msgspec
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from devstack.simulators.journal import Journal, JournalError
from devstack.simulators.settings import SimulatorSettings

LOOPBACK = "127.0.0.1"
DRAIN_SECONDS = 2.0
LOG_LINES_PER_WRITE = 500


def answer_json(value: object, status: int = 200) -> web.Response:
    """A JSON answer; fields that are None are left out by the caller."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def refuse(status: int, code: str, message: str, **facts: object) -> NoReturn:
    """End the request with an error answer; `facts` are more fields of it."""
    raise RefusedError(status, code, message, **facts)


class RefusedError(Exception):
    """A request that gets an error answer."""

    def __init__(self, status: int, code: str, message: str, **facts: object) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.facts = status, code, message, facts


class Simulator(ABC):
    """One simulated service: state from its journal, pages of its own, and the shared ones."""

    name: str

    def __init__(self, settings: SimulatorSettings, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self.stopping = asyncio.Event()
        self.registry = CollectorRegistry()
        self.requests_total = Counter(
            "simulator_requests_total",
            "Answers by status",
            ["simulator", "status"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "simulator_requests_in_flight", "Requests being worked on", registry=self.registry
        )
        self.answer_seconds = Histogram(
            "simulator_answer_seconds", "Time to an answer", registry=self.registry
        )
        self.working = 0

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The pages that only this simulator has."""

    @abstractmethod
    def log_lines(self) -> Iterator[Mapping[str, Any]]:
        """What took effect, oldest first."""

    @abstractmethod
    def summary(self) -> Mapping[str, Any]:
        """Counts for people and reports."""

    async def pause(self, seconds: float) -> None:
        """Wait, or less when the process is asked to stop."""
        if seconds > 0 and not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()

    def application(self) -> web.Application:
        """The aiohttp application of this simulator."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(
            middlewares=[guard],
            client_max_size=self.settings.body_bytes_max,
        )
        app.add_routes(
            [
                web.get("/livez", self._live),
                web.get("/readyz", self._live),
                web.get("/metrics", self._metrics),
                web.get("/log", self._log),
                web.get("/summary", self._summary),
                *self.routes(),
            ]
        )
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        self.working += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self.working -= 1
            self.answer_seconds.observe(time.perf_counter() - started)
            self.in_flight.set(self.working)
        self.requests_total.labels(self.name, str(response.status)).inc()
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if self.working > self.settings.in_flight_max:
                busy = f"{self.working} requests are in flight: send them slower."
                refuse(503, "too_busy", busy, processed=False)
            return await handler(request)
        except web.HTTPException as answer:  # aiohttp's own: unknown page, wrong method, too large
            return answer_json({"error": answer.reason, "message": str(answer)}, answer.status)
        except RefusedError as error:
            body = {"error": error.code, "message": error.message, **error.facts}
            return answer_json(body, error.status)
        except JournalError as error:
            return answer_json({"error": "log_failed", "message": str(error)}, 503)

    async def _live(self, request: web.Request) -> web.Response:
        if self.journal.failure:
            refuse(503, "log_failed", self.journal.failure)
        return answer_json({"status": "ready", "simulator": self.name})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self.registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _summary(self, request: web.Request) -> web.Response:
        await self.journal.flushed()
        return answer_json(self.summary())

    async def _log(self, request: web.Request) -> web.StreamResponse:
        await self.journal.flushed()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        lines = [msgspec.json.encode(line) + b"\n" for line in self.log_lines()]
        for start in range(0, len(lines), LOG_LINES_PER_WRITE):
            await response.write(b"".join(lines[start : start + LOG_LINES_PER_WRITE]))
        await response.write_eof()
        return response


Body = TypeVar("Body")


async def read_body(request: web.Request, form: type[Body]) -> Body:
    """The JSON body in its form; 400 with the reason if it has another."""
    try:
        return msgspec.json.decode(await request.read(), type=form)
    except msgspec.MsgspecError as error:
        refuse(400, "body_invalid", f"The body does not fit: {error}.")


async def serve(simulator: Simulator) -> None:
    """Answer on loopback until SIGTERM or SIGINT, then drain for `DRAIN_SECONDS` at most."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, simulator.stopping.set)
    runner = web.AppRunner(simulator.application(), access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, simulator.settings.port, backlog=1024).start()
    await simulator.stopping.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)  # asked twice is asked once, also after the loop
    await runner.cleanup()
    await simulator.journal.close()


def run(build: Callable[[], Simulator]) -> int:
    """Run a simulator in this process; exit code 0 after a clean stop, 1 with a sentence."""

    async def main() -> None:
        await serve(build())

    try:
        uvloop.run(main())
    except (JournalError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
