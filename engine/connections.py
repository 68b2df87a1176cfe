"""Knowing that a client lost a connection, and with it perhaps a request that arrives late."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)
FAILED = "FAIL"
NEVER_CONNECTED = ("Connect to", "Failed to resolve", "Connection setup timed out")


class ConnectionLog:
    """librdkafka's log of one client, passed on; `lost` is the first connection that it lost.

    The log is the only sign of it: a request is sent again without a word, and `error_cb` is not
    called. A client repeats no such line for 30 s, so it must be replaced after the first. Lines
    come while the client is polled.
    """

    def __init__(self) -> None:
        self.lost: str | None = None

    def log(self, level: int, pattern: str, *parts: object) -> None:
        """What the client calls: facility, client and text are the parts."""
        log.log(level, pattern, *parts)
        text = str(parts[-1]) if parts else ""
        if parts[:1] != (FAILED,) or any(sign in text for sign in NEVER_CONNECTED):
            return  # an attempt to connect that failed has carried no request
        if self.lost is None:
            self.lost = text
