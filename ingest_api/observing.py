"""Around every request: trace, metrics, access log, and the count of requests under way."""

import asyncio
import time
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ingest_api.requests import TRACEPARENT_STATE, trace_of
from runtime import log, telemetry

_UNMATCHED = "unmatched"
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class Observed:
    """An ASGI application that is watched. Bodies, tokens and raw paths are never logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._log = log.get("ingest_api.access")
        self._requests = telemetry.counter("paystream_api_requests_total")
        self._seconds = telemetry.histogram("paystream_api_request_seconds")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        traceparent = trace_of(list(scope["headers"]))
        scope.setdefault("state", {})[TRACEPARENT_STATE] = traceparent
        status = 500
        started = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[Any] = [*message["headers"], (b"traceparent", traceparent.encode())]
                message["headers"] = headers
            await send(message)

        self._under_way += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, sending)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            self._note(scope, status, traceparent, time.perf_counter() - started)

    async def idle(self, timeout_seconds: float) -> bool:
        """Whether no request is under way within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _note(self, scope: Any, status: int, traceparent: str, seconds: float) -> None:
        route = scope.get("path_template") or _UNMATCHED
        method = scope["method"]
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)
        if route not in _PROBES:
            self._log.info(
                "request",
                method=method,
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 2),
                traceparent=traceparent,
            )
