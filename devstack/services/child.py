"""One child process: how it is started, asked for its state, and stopped.

Each child is the leader of its own session, so that what it started itself can be ended with it,
and dies with the thread that started it: start children from the main thread only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
LOG_TAIL_LINES = 8
POLL_SECONDS = 0.02


class ChildFailedError(RuntimeError):
    """A child ended or did not get ready; the message names its log."""


def always_ready() -> bool:
    """The check of a program that is ready as soon as it runs."""
    return True


@dataclass(frozen=True)
class Launch:
    """What to start and how to know that it is ready.

    `environment` is laid over the starter's own; `ready` must answer within a few seconds and
    never raise.
    """

    name: str
    command: tuple[str, ...]
    log_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = always_ready
    ready_timeout_seconds: float = 60.0


class Child:
    """A started `Launch`."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.started_at = time.monotonic()
        launch.log_path.parent.mkdir(parents=True, exist_ok=True)
        with launch.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(DIE_WITH_PARENT),
                    str(os.getpid()),
                    *launch.command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **launch.environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, which is also its process group's."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def memory_bytes_max(self) -> int:
        """The most that the child alone has held so far (resident). It must be running."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def signal(self, number: int) -> None:
        """Send a signal to the child alone; nothing happens when it has ended."""
        if self.exit_code() is None:
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill the child and every process of its group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout_seconds: float = 10.0) -> int:
        """End it: SIGTERM, and SIGKILL to its group after the time-out; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.kill_group()
        return code

    def wait_ready(self) -> None:
        """Return when the ready check holds; `ChildFailedError` at its end or at the time limit."""
        deadline = self.started_at + self.launch.ready_timeout_seconds
        while True:
            if (code := self.exit_code()) is not None:
                raise ChildFailedError(
                    f"{self.launch.name} {describe_exit(code)}{self._evidence()}"
                )
            if self.launch.ready():
                return
            if time.monotonic() > deadline:
                raise ChildFailedError(
                    f"{self.launch.name} was not ready after"
                    f" {self.launch.ready_timeout_seconds:.0f} s{self._evidence()}"
                )
            time.sleep(POLL_SECONDS)

    def _evidence(self) -> str:
        tail = log_tail(self.launch.log_path)
        return (
            f". Its log {self.launch.log_path} ends with:\n{tail}"
            if tail
            else ". Its log is empty."
        )


def describe_exit(code: int) -> str:
    """An exit code in words, as in `was ended by SIGKILL`."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def log_tail(path: Path) -> str:
    """The last lines of a log, '' without one."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8_192))
        lines = log.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


def run_to_end(launches: Sequence[Launch], timeout_seconds: float) -> None:
    """Run commands that end by themselves, side by side; `ChildFailedError` unless all exit 0."""
    children = [Child(launch) for launch in launches]
    deadline = time.monotonic() + timeout_seconds
    while any(child.exit_code() is None for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    codes = [child.exit_code() for child in children]
    for child in children:
        child.kill_group()
    for child, code in zip(children, codes, strict=True):
        if code != 0:
            how = "took too long" if code is None else describe_exit(code)
            tail = log_tail(child.launch.log_path)
            raise ChildFailedError(f"{child.launch.name} {how}: {tail}")
