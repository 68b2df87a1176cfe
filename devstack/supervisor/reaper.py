"""The supervisor's side of the undertaker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("reaper_process.py")
END_SECONDS_MAX = 5.0


class Undertaker:
    """Knows the process groups to end if this process dies; `close` when all are ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def add(self, group: int) -> None:
        """This group is to be ended with us."""
        self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        """This group has ended."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """End it; whatever was not removed is killed."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(END_SECONDS_MAX)

    def _tell(self, line: str) -> None:
        if self._process.stdin and self._process.poll() is None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
