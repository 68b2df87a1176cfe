"""`python -m ingest_api --port N`: the HTTP API."""

import argparse
import asyncio
import os
import sys

import uvloop

from ingest_api.serving import serve
from runtime import log
from runtime.settings import BadSetting


def main() -> int:
    """Exit code of the process; 2 for a wrong or missing setting."""
    parser = argparse.ArgumentParser(prog="python -m ingest_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on PAYSTREAM_API_HOST")
    arguments = parser.parse_args()
    log.configure("ingest_api")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(arguments.port, os.environ))
    except BadSetting as error:
        log.get("ingest_api").error(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
