"""`python -m ingest_api --port N`: the HTTP API."""

import argparse
import asyncio
import os
import sys

import uvloop

from ingest_api.http.multiprocess import WORKERS_MAX, serve_processes
from ingest_api.http.server import serve
from ingest_api.services import services_from_environment
from runtime import log
from runtime.settings import ConfigurationError
from runtime.threads import end_process_with_any_thread


def _workers(text: str) -> int:
    number = int(text)
    if not 1 <= number <= WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"must be 1 to {WORKERS_MAX}")
    return number


def main() -> int:
    """Exit code of the process; 2 for a wrong or missing setting."""
    parser = argparse.ArgumentParser(prog="python -m ingest_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on PAYSTREAM_API_HOST")
    parser.add_argument("--workers", type=_workers, default=1, help="processes that share the port")
    arguments = parser.parse_args()
    log.configure("ingest_api")
    end_process_with_any_thread()
    try:
        settings, links = services_from_environment(os.environ)
        if arguments.workers > 1:
            return serve_processes(arguments.port, arguments.workers, settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(arguments.port, settings, links))
    except ConfigurationError as error:
        log.get("ingest_api").error(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
