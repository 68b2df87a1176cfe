"""Records per second of every baseline on the same topic; ratios run by run."""

from __future__ import annotations

from typing import Any

from bench.baselines import optional_baselines
from bench.broker import BenchBroker
from bench.figures import Figure, ratio
from bench.options import Options
from bench.testbed import (
    BARE_LOOP,
    FAUST_AT_LEAST_ONCE,
    FAUST_EXACTLY_ONCE,
    OURS,
    Baseline,
    Run,
)

RUN_SECONDS_MAX = 600.0


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """Wall and CPU rates; baselines take turns in every run."""
    baselines = [BARE_LOOP, OURS, FAUST_EXACTLY_ONCE, FAUST_AT_LEAST_ONCE]
    baselines += optional_baselines(options)
    done: dict[str, list[dict[str, Any]]] = {c.name: [] for c in baselines}
    for run in range(options.runs):
        for baseline in baselines:
            said = compete(broker, baseline, options.records)
            done[baseline.name].append(said)
            rate = said["done"] / said["wall_seconds"]
            print(f"run {run + 1}: {baseline.name}: {rate:,.0f} records/s", flush=True)
    return figures_of(done)


def compete(broker: BenchBroker, baseline: Baseline, records: int) -> dict[str, Any]:
    """One baseline, alone."""
    count = min(records, baseline.records_max or records)
    name = broker.new_name(baseline.name)
    broker.topics(f"{name}-events")
    broker.topics(f"{name}-changelog", compacted=True)
    environment = {
        "BOOTSTRAP": broker.bootstrap,
        "NAME": name,
        "INPUT": broker.commands(records),
        "RECORDS": str(count),
    }
    run = Run(baseline, broker.directory / name, environment)
    try:
        return run.wait_for("done", RUN_SECONDS_MAX)
    finally:
        run.kill()


def figures_of(done: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Rates per baseline, then ours against each."""
    wall, cpu = {}, {}
    for name, said in done.items():
        rates = [line["done"] / line["wall_seconds"] for line in said]
        wall[name] = Figure("throughput", name, "records/s", rates)
        if all("cpu_seconds" in line for line in said):
            rates = [line["done"] / line["cpu_seconds"] for line in said]
            cpu[name] = Figure("throughput", f"{name} per CPU-second", "records/CPU-s", rates)
    others = [name for name in done if name != OURS.name]
    ratios = [ratio(f"ours / {n}", "x", wall[OURS.name], wall[n]) for n in others]
    ratios += [
        ratio(f"ours / {n}, per CPU-second", "x", cpu[OURS.name], cpu[n])
        for n in others
        if n in cpu
    ]
    return [*wall.values(), *cpu.values(), *ratios]
