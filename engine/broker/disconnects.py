"""Knowing that a client lost a connection, and with it perhaps a request that arrives late."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)
DISTURBED_SECONDS = 60.0
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
    """librdkafka's log of one client, passed on; `lost` is the first connection that it lost.

    The log is the only sign of it: a request is sent again without a word, and `error_cb` is not
    called. A client repeats no such line for 30 s, so it must be replaced after the first. Lines
    come while the client is polled. A request that timed out counts as well: a broker that was
    stopped finds it in its socket when it wakes up.
    """

    def __init__(self) -> None:
        self.lost: str | None = None
        self._failed_at: float | None = None

    @property
    def disturbed(self) -> bool:
        """A connection was lost, or could not be made, within the last minute."""
        failed_at = self._failed_at
        return failed_at is not None and time.monotonic() - failed_at < DISTURBED_SECONDS

    def log(self, level: int, pattern: str, *parts: object) -> None:
        """What the client calls: facility, client and text are the parts."""
        log.log(level, pattern, *parts)
        text = str(parts[-1]) if parts else ""
        if parts[:1] not in ((FAILED,), (TIMED_OUT,)):
            return
        self._failed_at = time.monotonic()
        if any(sign in text for sign in HARMLESS):
            return  # an attempt to connect that failed has carried no request
        if self.lost is None:
            self.lost = text
