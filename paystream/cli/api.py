"""`paystream api`: the HTTP API in the foreground."""

import os
import sys
from pathlib import Path

from paystream.cli.environment import environment


def api(*, port: int = 8080, workers: int = 1, env_file: Path | None = None) -> int:
    """Run the HTTP API until SIGTERM.

    Example: paystream api --port 8080

    Args:
        port: Loopback port.
        workers: Processes that share the port.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    command = [sys.executable, "-m", "ingest_api", "--port", str(port), "--workers", str(workers)]
    os.execve(sys.executable, command, dict(environment(env_file)))  # noqa: S606 - our own module
