"""Ask a loopback URL whether its process is ready."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

PROBE_TIMEOUT_SECONDS = 3.0


def answers_ok(url: str) -> bool:
    """True on a 2xx answer within `PROBE_TIMEOUT_SECONDS`, false on anything else."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", parts.path or "/")
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
