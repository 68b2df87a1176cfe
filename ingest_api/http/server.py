"""One process of the API: start the parts, serve until SIGTERM, drain, leave."""

import asyncio
import os
import signal
import sys
import threading

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from ingest_api.http.app import build_app
from ingest_api.http.middleware import ObservabilityMiddleware
from ingest_api.http.multiprocess import PARENT_VARIABLE
from ingest_api.services import Services
from ingest_api.settings import ApiSettings
from runtime import log
from runtime.settings import Connections

_EXIT_GRACE_SECONDS = 2.0
_PARENT_CHECK_SECONDS = 1.0
_BACKLOG_CONNECTIONS = 1024
# Granian installs handlers of its own unless told to pass its lines on to ours.
_GRANIAN_LOGS = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


async def serve(port: int, settings: ApiSettings, links: Connections) -> int:
    """Serves until SIGTERM or SIGINT; answers the exit code: 0 if nothing was left unflushed."""
    parts = Services(settings, links)
    parts.start()
    observed = ObservabilityMiddleware(build_app(parts))
    server = Server(
        observed,
        address=settings.host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        websockets=False,
        backlog=_BACKLOG_CONNECTIONS,
        log_level=LogLevels.error,
        log_dictconfig=_GRANIAN_LOGS,
    )
    drained = asyncio.create_task(_drain_at_signal(server, parts))
    await server.serve()
    drained.cancel()
    return await _leave(parts, observed)


async def _drain_at_signal(server: Server, parts: Services) -> None:
    """At SIGTERM or SIGINT: not ready, then no new connections."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    orphaned = asyncio.create_task(_ask_when_orphaned(asked))
    await asked.wait()
    orphaned.cancel()
    parts.draining = True
    _exit_at_the_latest(parts.settings.drain_seconds + parts.settings.drain_delay_seconds)
    await asyncio.sleep(parts.settings.drain_delay_seconds)
    parts.waiter.release()
    server.stop()  # type: ignore[no-untyped-call] # granian leaves it without types


async def _ask_when_orphaned(asked: asyncio.Event) -> None:
    """A process of several drains when the one that started it is gone."""
    parent = os.environ.get(PARENT_VARIABLE)
    while parent is not None and os.getppid() == int(parent):  # noqa: ASYNC110 - the kernel tells no loop
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    if parent is not None:
        asked.set()


def _exit_at_the_latest(seconds: float) -> None:
    """A drain that hangs ends all the same: what was not acknowledged was not answered either."""
    timer = threading.Timer(seconds + _EXIT_GRACE_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()


async def _leave(parts: Services, observed: ObservabilityMiddleware) -> int:
    logger = log.get("ingest_api.http.server")
    half = parts.settings.drain_seconds / 2
    idle = await observed.idle(half)
    left = await parts.stop(half)
    logger.info("drained", idle=idle, unacknowledged_records=left)
    sys.stderr.flush()
    return 0 if idle and left == 0 else 1
