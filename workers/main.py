"""One worker process: `python -m workers payments --instance-id 0`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from prometheus_client import REGISTRY

from engine import EngineApp, run_worker
from runtime import log
from runtime.health import HealthServer, PortTaken
from runtime.settings import ConfigurationError, connections
from runtime.threads import end_process_with_any_thread
from workers.catalogue import WORKERS
from workers.metrics import EngineMetricsCollector

Build = Callable[[str, Mapping[str, str]], EngineApp]


def build(name: str, instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The app of one worker. Raises ConfigurationError."""
    module, _, function = WORKERS[name].builder.partition(":")
    builder: Build = getattr(import_module(module), function)
    return builder(instance_id, env)


def run(name: str, instance_id: str, env: Mapping[str, str]) -> int:
    """Run until SIGTERM; returns 0 after a drain, 1 after a crash, 2 if misconfigured."""
    log.configure(f"{name}-{instance_id}")
    end_process_with_any_thread()
    try:
        app = build(name, instance_id, env)
        at = connections(env)
        health = HealthServer(at.health_port, ready=lambda: app.ready, host=at.health_host)
    except (ConfigurationError, PortTaken) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    REGISTRY.register(EngineMetricsCollector(name, instance_id, app))
    health.start()
    try:
        return run_worker(app)
    finally:
        health.stop()


def main() -> None:
    """Command line of a worker."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("name", choices=sorted(WORKERS))
    parser.add_argument(
        "--instance-id",
        default="0",
        help="stable id among the workers of this kind; Kafka's group.instance.id",
    )
    arguments = parser.parse_args()
    sys.exit(run(arguments.name, arguments.instance_id, os.environ))
