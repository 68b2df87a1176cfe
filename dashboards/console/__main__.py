"""`python -m dashboards.console --port N`: the operator's page."""

import argparse
import asyncio
import os
import signal
import sys
import threading

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from dashboards.console.app import build_app
from dashboards.console.overview import Overview
from dashboards.console.settings import ConsoleSettings
from runtime import log
from runtime.settings import ConfigurationError, load
from runtime.threads import end_process_with_any_thread

_STOP_SECONDS_MAX = 5.0
_GRANIAN_LOGS = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


async def serve(port: int, settings: ConsoleSettings, overview: Overview) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = Server(
        build_app(overview),
        address=settings.host,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=_GRANIAN_LOGS,
    )

    def stop() -> None:
        timer = threading.Timer(_STOP_SECONDS_MAX, os._exit, (0,))  # a part may not answer
        timer.daemon = True
        timer.start()
        server.stop()  # type: ignore[no-untyped-call] # granian leaves it without types

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve()


def main() -> int:
    """Exit code of the process; 2 for a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.console", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    arguments = parser.parse_args()
    log.configure("console")
    end_process_with_any_thread()
    try:
        settings = load(ConsoleSettings, "console", os.environ)
        overview = Overview(os.environ, settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asyncio.run(serve(arguments.port, settings, overview))
    return 0


if __name__ == "__main__":
    sys.exit(main())
