"""Running an app in this process until SIGTERM, SIGINT or a crash."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from typing import Any

import faust

from engine.membership import gc_tuning

log = logging.getLogger(__name__)
EXIT_OK = 0
EXIT_CRASHED = 1


class FaustWorker(faust.Worker):
    """Faust's worker without spinner, banner and log handlers; its shutdown time is limited."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            app,
            loop=loop,
            quiet=True,
            override_logging=False,
            redirect_stdouts=False,
            loglevel="INFO",
        )
        self.spinner = None

    def _schedule_shutdown(self, signal: Any) -> None:
        seconds = self.app.engine_settings.shutdown_seconds_max
        log.info("%s: draining, %.0f s at most", signal, seconds)
        timer = threading.Timer(seconds, _end_now)
        timer.daemon = True
        timer.start()
        super()._schedule_shutdown(signal)


def run_worker(app: Any) -> int:
    """Blocks; returns the exit code: 0 after a drained stop, 1 after a crash (restart it).

    Logs go to the standard library's logging as the caller configured it.
    """
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    worker = FaustWorker(app, loop)
    gc_tuning.freeze_and_raise_thresholds()
    try:
        worker.execute_from_commandline()
    except SystemExit as exc:
        crashed = exc.code not in (None, EXIT_OK)
    except BaseException:
        log.exception("the worker crashed")
        crashed = True
    crashed = crashed or worker.crash_reason is not None or app.crash_reason is not None
    return EXIT_CRASHED if crashed else EXIT_OK


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _end_now() -> None:
    """Nothing is lost: what is not committed is processed again."""
    log.critical("the worker did not drain in time; stacks follow, the process exits")
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(EXIT_CRASHED)
