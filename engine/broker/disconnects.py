"""Detects that a client lost a connection, and with it perhaps a request that arrives late."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)
RECENT_SECONDS = 60.0
FAILED = "FAIL"
TIMED_OUT = "REQTMOUT"
HARMLESS = (
    "Connect to",
    "Failed to resolve",
    "Connection setup timed out",
    "ApiVersionRequest",
    "Timed out 0 in-flight",
)


class DisconnectDetector:
    """librdkafka's logger for one client; `lost_connection` is the first connection that it lost.

    The log is the only sign: librdkafka repeats a request silently and does not call `error_cb`.
    A client repeats no such line for 30 s, so it must be replaced after the first. Lines arrive
    while the client is polled. A request that timed out counts as well: a broker that was stopped
    finds it in its socket when it continues.
    """

    def __init__(self) -> None:
        self.lost_connection: str | None = None
        self._failed_at: float | None = None

    @property
    def recently_disconnected(self) -> bool:
        """A connection was lost, or could not be made, within the last minute."""
        failed_at = self._failed_at
        return failed_at is not None and time.monotonic() - failed_at < RECENT_SECONDS

    def log(self, level: int, pattern: str, *parts: object) -> None:
        """Called by the client; `parts` are facility, client and text."""
        log.log(level, pattern, *parts)
        text = str(parts[-1]) if parts else ""
        if parts[:1] not in ((FAILED,), (TIMED_OUT,)):
            return
        self._failed_at = time.monotonic()
        if any(sign in text for sign in HARMLESS):
            return  # an attempt to connect that failed has carried no request
        if self.lost_connection is None:
            self.lost_connection = text
