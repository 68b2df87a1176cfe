"""The audit sink as a process of its own that can kill or stop itself.

FAIL_POINT=before_commit:2 kills it with SIGKILL when it reaches that step of a commit for the
second time. STOP_BEFORE_INSERT=3 stops it with SIGSTOP before its third insert of ledger entries.
INSTANCE_ID=1 makes it another worker.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from clickhouse_connect.driver.httpclient import HttpClient

from engine import run_worker
from runtime import log
from sinks.audit.app import build_app


def stop_before_insert(number: int) -> None:
    """The rows are made and the statement is about to be sent: then time stands still."""
    seen = 0

    def stopping(send: Any) -> Any:
        def sending(client: Any, what: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += "ledger_entries" in str(getattr(what, "table", what))
            if seen == number:
                seen += 1
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(1)  # another thread may take the signal: this one would go on meanwhile
            return send(client, what, *arguments, **options)

        return sending

    for name in ("data_insert", "raw_insert"):
        setattr(HttpClient, name, stopping(getattr(HttpClient, name)))


if __name__ == "__main__":
    stop_before_insert(int(os.environ.get("STOP_BEFORE_INSERT", "-1")))
    log.configure("audit")
    app = build_app(os.environ.get("INSTANCE_ID", "0"), os.environ)
    wanted, _, times = os.environ.get("FAIL_POINT", "never:1").partition(":")
    seen = 0

    def fail_point(step: str) -> None:
        global seen  # noqa: PLW0603 - one process, one fail_point
        seen += step == wanted
        if seen == int(times):
            os.kill(os.getpid(), signal.SIGKILL)

    app.context.producer.fail_point = fail_point
    sys.exit(run_worker(app))
