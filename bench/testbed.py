"""Starts baselines as processes of their own and reads what they print."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.services.child import DIE_WITH_PARENT

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Baseline:
    """A program, and the share of the records that it is given: slow ones need not do all."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    records_max: int | None = None


def python_worker(module: str) -> tuple[str, ...]:
    """Command of a module in bench/workers."""
    return (sys.executable, "-m", f"bench.workers.{module}")


FAUST_RECORDS_MAX = 40_000
OURS = Baseline("ours", python_worker("ours"))
BARE_LOOP = Baseline("bare-loop", python_worker("bare_loop"))
FAUST_AT_LEAST_ONCE, FAUST_EXACTLY_ONCE = (
    Baseline(
        f"faust-{guarantee.replace('_', '-')}",
        python_worker("faust_idiomatic"),
        {"GUARANTEE": guarantee},
        FAUST_RECORDS_MAX,
    )
    for guarantee in ("at_least_once", "exactly_once")
)


class Run:
    """A started baseline; everything that it says is kept, its log is in `log_path`."""

    def __init__(self, baseline: Baseline, directory: Path, environment: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(DIE_WITH_PARENT),
                    str(os.getpid()),
                    *baseline.command,
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    **baseline.environment,
                    **environment,
                    "WORK_DIR": str(directory),
                },
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self._said.put(json.loads(line))

    def wait_for(self, word: str, timeout_seconds: float) -> dict[str, Any]:
        """The first line that has `word`. Raises RuntimeError with the end of the log."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            try:
                said = self._said.get(timeout=0.2)
            except queue.Empty:
                if self.process.poll() is None:
                    continue
                said = self._said.get_nowait() if not self._said.empty() else {}
                if not said:
                    break
            if word in said:
                return said
        tail = self.log_path.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"no {word!r} after {timeout_seconds} s, {self.log_path} ends:\n{tail}")

    def kill(self) -> None:
        """-9, with all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
