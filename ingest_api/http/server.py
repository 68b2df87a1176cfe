"""One process of the API: start the services, serve until SIGTERM, drain, exit."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from ingest_api.http.app import build_app
from ingest_api.http.middleware import ObservabilityMiddleware
from ingest_api.http.multiprocess import PARENT_VARIABLE
from ingest_api.http.routes import Face
from ingest_api.services import Services
from ingest_api.settings import ApiSettings
from runtime import log
from runtime.settings import Connections

_EXIT_GRACE_SECONDS = 2.0
_PARENT_CHECK_SECONDS = 1.0
_BACKLOG_CONNECTIONS = 1024
# Without this, Granian installs handlers of its own in place of the ones here.
_GRANIAN_LOGS = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


async def serve(port: int, settings: ApiSettings, connections: Connections) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code: 0 if nothing was left unflushed."""
    services = Services(settings, connections)
    services.start()
    addresses = {
        Face.MERCHANTS: (settings.host, port),
        Face.OPERATORS: (settings.admin_host, settings.admin_port),
        Face.PROBES: (settings.metrics_host, settings.metrics_port),
    }
    observed = {
        face: ObservabilityMiddleware(build_app(services, face), services.early_refusals)
        for face, (_, its_port) in addresses.items()
        if its_port
    }
    servers = {face: _server(observed[face], *addresses[face], settings) for face in observed}
    probes = servers.pop(Face.PROBES, None)
    probing = asyncio.create_task(probes.serve()) if probes else None
    drained = asyncio.create_task(_drain_at_signal(list(servers.values()), services))
    await asyncio.gather(*(server.serve() for server in servers.values()))
    drained.cancel()
    code = await _finish(services, list(observed.values()))
    if probes is not None and probing is not None:
        probes.stop()  # type: ignore[no-untyped-call] # granian leaves it without types
        await probing
    return code


def _server(app: ObservabilityMiddleware, host: str, port: int, settings: ApiSettings) -> Server:
    return Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        websockets=False,
        backlog=_BACKLOG_CONNECTIONS,
        log_level=LogLevels.error,
        log_dictconfig=_GRANIAN_LOGS,
        ssl_cert=Path(settings.ssl_certificate_file) if settings.ssl_certificate_file else None,
        ssl_key=Path(settings.ssl_key_file) if settings.ssl_key_file else None,
    )


async def _drain_at_signal(servers: list[Server], services: Services) -> None:
    """At SIGTERM or SIGINT: not ready, then no new connections."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    orphaned = asyncio.create_task(_stop_when_orphaned(stop_requested))
    await stop_requested.wait()
    orphaned.cancel()
    services.draining = True
    _exit_after(services.settings.drain_seconds + services.settings.drain_delay_seconds)
    await asyncio.sleep(services.settings.drain_delay_seconds)
    services.outcome_waiter.cancel_all()
    for server in servers:
        server.stop()  # type: ignore[no-untyped-call] # granian leaves it without types


async def _stop_when_orphaned(stop_requested: asyncio.Event) -> None:
    """A process of several drains when the one that started it is gone."""
    parent = os.environ.get(PARENT_VARIABLE)
    while parent is not None and os.getppid() == int(parent):  # noqa: ASYNC110 - the kernel notifies no event loop
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    if parent is not None:
        stop_requested.set()


def _exit_after(seconds: float) -> None:
    """Ends a drain that hangs. Requests without an acknowledgement got no 202 either."""
    timer = threading.Timer(seconds + _EXIT_GRACE_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()


async def _finish(services: Services, observed: list[ObservabilityMiddleware]) -> int:
    logger = log.get("ingest_api.http.server")
    half = services.settings.drain_seconds / 2
    idle = all(await asyncio.gather(*(each.wait_idle(half) for each in observed)))
    left = await services.stop(half)
    logger.info("drained", idle=idle, unacknowledged_records=left)
    sys.stderr.flush()
    return 0 if idle and left == 0 else 1
