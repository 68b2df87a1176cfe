"""One worker process: `python -m devstack.worker payments --slot 0`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from prometheus_client import REGISTRY

from engine import EngineApp, run_worker
from engine.exposition import WorkerCollector
from runtime import log
from runtime.health import HealthServer
from runtime.settings import BadSetting, connections

Build = Callable[[str, Mapping[str, str]], EngineApp]

WORKERS: dict[str, tuple[str, str]] = {
    "payments": ("streams.app", "build_payments_app"),
    "network": ("streams.app", "build_network_app"),
    "merchants": ("streams.app", "build_merchants_app"),
    "audit": ("sinks.audit.app", "build_app"),
    "webhooks": ("sinks.webhooks.app", "build_app"),
    "payouts": ("sinks.payouts.app", "build_app"),
    "status": ("sinks.status.app", "build_app"),
    "reconciliation": ("sinks.reconciliation.app", "build_app"),
}
"""Worker name -> module and function of its composition root: a process imports only its own."""


def build(name: str, slot: str, env: Mapping[str, str]) -> EngineApp:
    """The app of one worker. Raises BadSetting."""
    module, function = WORKERS[name]
    builder: Build = getattr(import_module(module), function)
    return builder(slot, env)


def run(name: str, slot: str, env: Mapping[str, str]) -> int:
    """Run until SIGTERM; returns 0 after a drain, 1 after a crash, 2 if misconfigured."""
    log.configure(f"{name}-{slot}")
    try:
        app = build(name, slot, env)
        port = connections(env).health_port
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        return 2
    REGISTRY.register(WorkerCollector(name, slot, app.engine.stats, lambda: app.ready))
    health = HealthServer(port, ready=lambda: app.ready).start()
    try:
        return run_worker(app)
    finally:
        health.stop()


def main() -> None:
    """Command line of a worker."""
    parser = argparse.ArgumentParser(prog="python -m devstack.worker", description=__doc__)
    parser.add_argument("name", choices=sorted(WORKERS))
    parser.add_argument("--slot", default="0", help="stable name among workers of this kind")
    arguments = parser.parse_args()
    sys.exit(run(arguments.name, arguments.slot, os.environ))


if __name__ == "__main__":
    main()
