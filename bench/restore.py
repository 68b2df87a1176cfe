"""Seconds and memory to rebuild a table of a million keys from its changelog."""

from __future__ import annotations

import time

from bench.broker import BenchBroker
from bench.figures import Figure
from bench.options import Options
from bench.testbed import OURS, Run

RUN_SECONDS_MAX = 600.0


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """Fill a table once, then start fresh workers on it."""
    keys = options.restore_keys
    name = broker.new_name("restore")
    environment = {"BOOTSTRAP": broker.bootstrap, "NAME": name, "INPUT": broker.commands(keys)}
    broker.topics(f"{name}-events")
    fill = Run(OURS, broker.directory / name, environment | {"RECORDS": str(keys)})
    try:
        filled = fill.wait_for("done", RUN_SECONDS_MAX)
    finally:
        fill.kill()
    restores, starts, memory = [], [], []
    for _ in range(options.runs):
        began = time.perf_counter()
        run = Run(OURS, broker.directory / name, environment)
        try:
            said = run.wait_for("ready", RUN_SECONDS_MAX)
        finally:
            run.kill()
        if said["keys"] != keys:
            raise RuntimeError(f"{said['keys']} of {keys} keys were restored")
        starts.append(time.perf_counter() - began)
        restores.append(said["restore_seconds"])
        memory.append((said["rss_bytes"] - said["rss_before_bytes"]) / keys)  # MB per million
    rate = filled["done"] / filled["wall_seconds"]
    return [
        Figure("restore", f"{keys:,} keys", "s", restores),
        Figure("restore", f"{keys:,} keys, from exec to ready", "s", starts),
        Figure("restore", "memory per million keys, with librdkafka's queue", "MB", memory),
        Figure("restore", f"throughput while {keys:,} keys are filled in", "records/s", [rate]),
    ]
