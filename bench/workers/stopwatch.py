"""Clock of a baseline: from the first record in hand to the last one committed."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import psutil

RECORDS = int(os.environ.get("RECORDS", "0"))


class Stopwatch:
    """`start` at the first record, `stop` prints the figures and ends the process."""

    def __init__(self) -> None:
        self.started: tuple[float, float] | None = None

    def start(self) -> None:
        """Only the first call counts."""
        if self.started is None:
            self.started = (time.perf_counter(), time.process_time())

    def stop(self, **more: Any) -> None:
        """CPU seconds are of all threads of this process."""
        assert self.started is not None
        say(
            done=RECORDS,
            wall_seconds=time.perf_counter() - self.started[0],
            cpu_seconds=time.process_time() - self.started[1],
            rss_bytes=psutil.Process().memory_info().rss,
            **more,
        )
        os._exit(0)


def say(**facts: Any) -> None:
    """A line for the parent."""
    print(json.dumps(facts), flush=True)
