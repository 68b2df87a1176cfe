"""Ask a loopback URL whether its process is ready."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from urllib.parse import urlsplit

PROBE_TIMEOUT_SECONDS = 3.0


def answers_ok(url: str, ca_file: Path | None = None) -> bool:
    """True on a 2xx answer within `PROBE_TIMEOUT_SECONDS`, false on anything else.

    `ca_file`: whom to trust for `https`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_SECONDS)
    if parts.scheme == "https":
        trusted = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(
            host, port, timeout=PROBE_TIMEOUT_SECONDS, context=trusted
        )
    try:
        connection.request("GET", parts.path or "/")
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
