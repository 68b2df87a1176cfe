"""Several processes on one port: the kernel spreads connections over them (SO_REUSEPORT)."""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from ingest_api.settings import ApiSettings

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 4.0
WORKERS_MAX = 64
PARENT_VARIABLE = "PAYSTREAM_API_PARENT_PID"


def serve_processes(port: int, workers: int, settings: ApiSettings) -> int:
    """Starts the processes and waits; the exit code is 0 if all ended with 0.

    SIGTERM is passed on. If one process exits, the others drain and this one exits too: its
    supervisor restarts all of them. Each process exits when this one is gone.
    """
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-m", "ingest_api", "--port", str(port)]
    children = [
        subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
        for _ in range(workers)
    ]
    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping and all(child.poll() is None for child in children):
        time.sleep(_POLL_SECONDS)
    return _drain(children, settings.drain_seconds + settings.drain_delay_seconds)


def _drain(children: list[subprocess.Popen[bytes]], seconds: float) -> int:
    for child in children:
        if child.poll() is None:
            child.terminate()
    end = time.monotonic() + seconds + _GRACE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    for child in children:
        if child.poll() is None:
            child.kill()
    return 0 if all(child.wait() == 0 for child in children) else 1
