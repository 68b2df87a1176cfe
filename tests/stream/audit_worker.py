"""The audit sink as a process of its own that can be told to kill itself at a step of a commit.

HOOK=before_commit:2 kills it with SIGKILL when it comes to that step for the second time.
"""

from __future__ import annotations

import os
import signal
import sys

from engine import run_worker
from runtime import log
from sinks.audit.app import build_app

if __name__ == "__main__":
    log.configure("audit")
    app = build_app("0", os.environ)
    wanted, _, times = os.environ.get("HOOK", "never:1").partition(":")
    seen = 0

    def hook(step: str) -> None:
        global seen  # noqa: PLW0603 - one process, one hook
        seen += step == wanted
        if seen == int(times):
            os.kill(os.getpid(), signal.SIGKILL)

    app.engine.producer.hook = hook
    sys.exit(run_worker(app))
