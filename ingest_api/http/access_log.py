"""One JSON line for each request, written in batches: a write per line would cost the loop more."""

import asyncio
import sys
from typing import IO

import msgspec

from runtime.clock import now_ms
from schemas.headers import rfc3339

_FLUSH_SECONDS = 0.2
_LINES_MAX = 500


class AccessLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged of a request: never a body, a token, a raw path or a query."""

    timestamp: str
    method: str
    route: str
    status: int
    milliseconds: float
    traceparent: str
    event: str = "request"
    logger: str = "ingest_api.access"
    level: str = "info"
    process: str = "ingest_api"


class AccessLog:
    """Lines reach the stream within 0.2 s, or when 500 have gathered, or at `flush`."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lines: list[bytes] = []
        self._encoder = msgspec.json.Encoder()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, method: str, route: str, status: int, seconds: float, traceparent: str) -> None:
        """Add a line; on the event loop only."""
        line = AccessLine(
            timestamp=rfc3339(now_ms()),
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 2),
            traceparent=traceparent,
        )
        self._lines.append(self._encoder.encode(line))
        if len(self._lines) >= _LINES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"\n".join([*lines, b""]).decode())
            self._stream.flush()
