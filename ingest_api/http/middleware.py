"""Around every request: trace, metrics, access log, and the count of requests in flight."""

import asyncio
import time
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from ingest_api.http.access_log import AccessLog
from ingest_api.http.early_refusals import EarlyRefusals, Refusal
from ingest_api.http.requests import RATE_LIMIT_STATE, TRACEPARENT_STATE, trace_of
from runtime import telemetry

_UNMATCHED = "unmatched"
_REFUSED = "refused"
_TOO_MANY_REQUESTS = 429
_HELD_SECONDS = 0.25
"""How long the answer to a caller above its rate is held back."""
_HELD_MAX = 1_000
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class ObservabilityMiddleware:
    """Wraps the whole application. Bodies, tokens and raw paths are never logged.

    It is not in Litestar's list of middleware, which runs behind the router: requests without a
    route (404, 405) would have no trace, metrics or access log.
    """

    def __init__(self, app: ASGIApp, early_refusals: EarlyRefusals | None = None) -> None:
        self._app = app
        self._early_refusals = early_refusals or EarlyRefusals()
        self._in_flight = 0
        self._held = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._access_log = AccessLog()
        self._known_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        refusal = self._early_refusals.find(list(scope["headers"]))
        if refusal is not None:
            await self._refuse(scope, send, refusal)
            return
        traceparent = trace_of(list(scope["headers"]))
        scope.setdefault("state", {})[TRACEPARENT_STATE] = traceparent
        status = 500
        started = time.perf_counter()
        is_head = scope["method"] == "HEAD"
        if is_head:  # RFC 9110 section 9.3.2: as GET, without the content
            scope["method"] = "GET"

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[Any] = [*message["headers"], (b"traceparent", traceparent.encode())]
                message["headers"] = headers + scope["state"].get(RATE_LIMIT_STATE, [])
            elif is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        self._in_flight += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, sending)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
            self._record(scope, status, traceparent, time.perf_counter() - started)

    async def _refuse(self, scope: Any, send: Send, refusal: Refusal) -> None:
        """Counted, and not in the access log: a flood would fill it.

        The answer waits, so that a client that repeats at once costs little; a bounded number of
        them waits at a time.
        """
        self._series(_REFUSED, scope["method"], _TOO_MANY_REQUESTS)[0].inc()
        if self._held < _HELD_MAX:
            self._held += 1
            try:
                await asyncio.sleep(_HELD_SECONDS)
            finally:
                self._held -= 1
        await send(
            {
                "type": "http.response.start",
                "status": _TOO_MANY_REQUESTS,
                "headers": refusal.headers,
            }
        )
        await send({"type": "http.response.body", "body": refusal.body, "more_body": False})

    async def wait_idle(self, timeout_seconds: float) -> bool:
        """Whether the last request in flight ends within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self._access_log.flush()
        return True

    def _record(self, scope: Any, status: int, traceparent: str, seconds: float) -> None:
        route, method = scope.get("path_template") or _UNMATCHED, scope["method"]
        counter, histogram = self._series(route, method, status)
        counter.inc()
        histogram.observe(seconds)
        if route not in _PROBES:
            self._access_log.add(method, route, status, seconds, traceparent)

    def _series(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """The series of these labels; routes, methods and statuses are few."""
        labels = (route, method, status)
        if labels not in self._known_series:
            self._known_series[labels] = (
                telemetry.counter("paystream_api_requests_total").labels(
                    route, method, str(status)
                ),
                telemetry.histogram("paystream_api_request_seconds").labels(route, method),
            )
        return self._known_series[labels]
