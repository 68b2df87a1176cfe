"""A background thread that dies ends its process: nobody would notice what it no longer does."""

import os
import sys
import threading
from collections.abc import Callable

from runtime import log
from runtime.telemetry import counter


def end_process_with_any_thread(end: Callable[[int], object] = os._exit) -> None:
    """From now on an exception that no thread has caught is logged, counted and ends the process.

    The supervisor of the process starts it again. Threads of pools hand their exceptions on, and
    are not concerned.
    """

    def end_process(died: threading.ExceptHookArgs) -> None:
        if died.exc_type is SystemExit:
            return
        name = died.thread.name if died.thread else "unknown"
        counter("paystream_thread_failures_total").labels(name).inc()
        log.get("runtime.threads").critical(
            "process_ends",
            reason=f"The thread {name} died of {died.exc_value!r}. Restart the process, and report"
            " the error if it stays.",
            exc_info=(died.exc_type, died.exc_value, died.exc_traceback),
        )
        sys.stderr.flush()
        end(1)

    threading.excepthook = end_process
