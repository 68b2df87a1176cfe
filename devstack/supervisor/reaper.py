"""The supervisor's side of the reaper."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("reaper_process.py")
END_SECONDS_MAX = 5.0


class Reaper:
    """Ends the named process groups if this process dies; `close` it when all have ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def add(self, group: int) -> None:
        """The reaper ends this group when this process dies."""
        self._send(f"+{group}")

    def remove(self, group: int) -> None:
        """This group has ended; the reaper leaves it alone."""
        self._send(f"-{group}")

    def close(self) -> None:
        """End the reaper; it kills every group that was not removed."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(END_SECONDS_MAX)

    def _send(self, line: str) -> None:
        if self._process.stdin and self._process.poll() is None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
