"""Entry point: own a directory, serve it on loopback, stop on SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import ssl
import sys
import threading
from pathlib import Path

from devstack.clickhouse_http.engine import Engine, PathInUseError
from devstack.clickhouse_http.handler import Handler
from devstack.clickhouse_http.server import LOOPBACK, ClickHouseServer
from devstack.clickhouse_http.users import User, known_users


def main() -> int:
    """Exit code 0 after a stop that was asked for, 1 with a sentence when it cannot start."""
    parser = argparse.ArgumentParser(prog="devstack.clickhouse_http", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="directory of the data")
    parser.add_argument(
        "--engine-config",
        type=Path,
        default=Path(__file__).parents[2] / "deploy" / "clickhouse" / "merges.xml",
        help="ClickHouse's own XML: storage policies, clusters",
    )
    parser.add_argument("--port", type=int, default=8123, help="loopback port")
    parser.add_argument("--certificate", type=Path, help="PEM file: speak TLS")
    parser.add_argument("--key", type=Path, help="PEM file of its private key")
    options = parser.parse_args()
    tls = None
    if options.certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    try:
        engine = Engine(options.path, options.engine_config)
        server = ClickHouseServer(options.port, engine, _users(), Handler, tls)
    except PathInUseError as error:
        print(f"clickhouse_http cannot start: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"clickhouse_http cannot listen on port {options.port}: {error}.", file=sys.stderr)
        return 1
    return _serve_until_stop_requested(server, engine)


def _users() -> dict[str, User]:
    environment = os.environ
    return known_users(
        environment.get("CLICKHOUSE_PASSWORD"), environment.get("CLICKHOUSE_ANALYST_PASSWORD")
    )


def _serve_until_stop_requested(server: ClickHouseServer, engine: Engine) -> int:
    stop_requested = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
    print(f"serving ClickHouse {engine.version} on {LOOPBACK}:{server.server_port}")
    sys.stdout.flush()
    stop_requested.wait()
    server.shutdown()
    if not server.drain():
        print("stopped with requests still running: none of them was acknowledged")
        sys.stdout.flush()
        os._exit(0)  # closing the engine under a running query may not return
    server.server_close()
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
