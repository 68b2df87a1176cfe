"""Records per second of every contestant on the same topic; ratios run by run."""

from __future__ import annotations

from typing import Any

from bench.baselines import optional_contestants
from bench.broker import Arena
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


def measure(arena: Arena, options: Options) -> list[Figure]:
    """Wall and CPU rates; contestants take turns in every run."""
    contestants = [BARE_LOOP, OURS, FAUST_EXACTLY_ONCE, FAUST_AT_LEAST_ONCE]
    contestants += optional_contestants(options)
    done: dict[str, list[dict[str, Any]]] = {c.name: [] for c in contestants}
    for run in range(options.runs):
        for contestant in contestants:
            said = compete(arena, contestant, options.records)
            done[contestant.name].append(said)
            rate = said["done"] / said["wall_seconds"]
            print(f"run {run + 1}: {contestant.name}: {rate:,.0f} records/s", flush=True)
    return figures_of(done)


def compete(arena: Arena, contestant: Baseline, records: int) -> dict[str, Any]:
    """One contestant, alone."""
    count = min(records, contestant.records_max or records)
    name = arena.new_name(contestant.name)
    arena.topics(f"{name}-events")
    arena.topics(f"{name}-changelog", compacted=True)
    environment = {
        "BOOTSTRAP": arena.bootstrap,
        "NAME": name,
        "INPUT": arena.commands(records),
        "RECORDS": str(count),
    }
    run = Run(contestant, arena.directory / name, environment)
    try:
        return run.wait_for("done", RUN_SECONDS_MAX)
    finally:
        run.kill()


def figures_of(done: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Rates per contestant, then ours against each."""
    wall, cpu = {}, {}
    for name, said in done.items():
        rates = [line["done"] / line["wall_seconds"] for line in said]
        wall[name] = Figure("throughput", name, "records/s", rates)
        if all("cpu_seconds" in line for line in said):
            rates = [line["done"] / line["cpu_seconds"] for line in said]
            cpu[name] = Figure("throughput", f"{name} per CPU-second", "records/CPU-s", rates)
    rivals = [name for name in done if name != OURS.name]
    ratios = [ratio(f"ours / {n}", "x", wall[OURS.name], wall[n]) for n in rivals]
    ratios += [
        ratio(f"ours / {n}, per CPU-second", "x", cpu[OURS.name], cpu[n])
        for n in rivals
        if n in cpu
    ]
    return [*wall.values(), *cpu.values(), *ratios]
