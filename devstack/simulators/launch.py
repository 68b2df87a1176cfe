"""How a simulator is started as a child process and known to be ready."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from typing import Literal

from devstack.services.child import Launch

READY_TIMEOUT_SECONDS = 30.0
PROBE_TIMEOUT_SECONDS = 1.0

SimulatorName = Literal["network", "bank", "receiver"]


def answers(url: str) -> bool:
    """Whether a GET of a loopback URL is answered with 200 within a second."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_SECONDS) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except OSError:
        return False


def simulator(
    name: SimulatorName, port: int, state_dir: Path, log_path: Path, **settings: float | str
) -> Launch:
    """The launch of one simulator; `settings` are fields of `SimulatorSettings`."""
    flags = (f"--{field.replace('_', '-')}={value}" for field, value in settings.items())
    return Launch(
        name=f"{name} simulator",
        command=(
            sys.executable,
            "-m",
            f"devstack.simulators.{name}",
            f"--port={port}",
            f"--state-dir={state_dir}",
            *flags,
        ),
        log_path=log_path,
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
        ready_timeout_seconds=READY_TIMEOUT_SECONDS,
    )
