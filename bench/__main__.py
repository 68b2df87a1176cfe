"""python -m bench [names] [--records N] [--runs N] [--json PATH]; without names all are run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import (
    admission,
    api,
    domain,
    flood,
    latency,
    ledger,
    memory,
    outage,
    pipeline,
    restore,
    takeover,
    throughput,
)
from bench.broker import BenchBroker, bench_broker
from bench.figures import RESULTS, Figure, machine, print_table, write_json
from bench.options import Options

ON_BROKER: dict[str, Callable[[BenchBroker, Options], list[Figure]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "restore": restore.measure,
    "takeover": takeover.measure,
    "api": api.measure,
    "flood": flood.measure,
    "outage": outage.measure,
}
ALONE: dict[str, Callable[[Options], list[Figure]]] = {
    "codec": domain.measure_codec,
    "domain": domain.measure_domain,
    "ledger": ledger.measure,
    "memory": memory.measure_memory,
    "admission": admission.measure,
    "pipeline": pipeline.measure,
}


def parse(arguments: list[str]) -> tuple[list[str], Options, Path]:
    """Names, options, path of the JSON file."""
    known = [*ALONE, *ON_BROKER]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(known))
    parser.add_argument("--records", type=int, default=Options.records)
    parser.add_argument("--restore-keys", type=int, default=Options.restore_keys)
    parser.add_argument("--runs", type=int, default=Options.runs)
    parser.add_argument("--latency-seconds", type=int, default=Options.latency_seconds)
    parser.add_argument("--outage-seconds", type=int, default=Options.outage_seconds)
    parser.add_argument("--with-quix", action="store_true", help="install and measure Quix Streams")
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options = Options(
        given.records,
        given.restore_keys,
        given.runs,
        given.latency_seconds,
        given.with_quix,
        given.outage_seconds,
    )
    return given.names or known, options, given.json


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    names, options, path = parse(arguments)
    before = machine()
    figures: list[Figure] = []
    with ExitStack() as stack:
        shared: BenchBroker | None = None
        for name in names:
            if name in ALONE:
                figures += ALONE[name](options)
                continue
            shared = shared or stack.enter_context(bench_broker())
            figures += ON_BROKER[name](shared, options)
    print_table(figures)
    write_json(path, before, figures)
    print(f"\n{path}; load average before the start: {before['load_average_before']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
