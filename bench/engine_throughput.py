"""Records per second through one engine worker: `python -m bench.engine_throughput --help`.

Starts a broker of its own, loads JSON commands, runs one worker with a counting agent (one output
and one table write per record), prints wall and CPU rates, then the time of a restore. Compare only
runs of one session on one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def load(bootstrap: str, name: str, count: int, partitions: int) -> None:
    """Topics and commands."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(f"{name}.{suffix}", partitions, 1) for suffix in ("in", "out")]
    for answer in admin.create_topics(topics).values():
        answer.result(20)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    for number in range(count):
        command = {"payment_id": f"pay_{number}", "amount": number % 997, "currency": "EUR"}
        producer.produce(f"{name}.in", json.dumps(command).encode(), f"pay_{number}")
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()


def work(bootstrap: str, name: str, count: int, partitions: int) -> None:
    """The worker; prints one line of JSON when `count` records are committed."""
    import asyncio

    import msgspec

    from engine import EngineApp, run_worker

    app = EngineApp(
        name, bootstrap_servers=bootstrap, topic_partitions=partitions, data_dir=tempfile.mkdtemp()
    )
    commands = app.batch_topic(f"{name}.in", decode=msgspec.json.decode)
    table = app.transactional_table(
        "payments", encode=msgspec.json.encode, decode=msgspec.json.decode
    )
    started: list[tuple[float, float]] = []

    @app.agent(commands)
    async def handle(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for batch in stream:
            if not started:
                started.append((time.time(), time.process_time()))
            state = table.partition(batch)
            for record in batch:
                key = record.key
                entry = state.get(key) or {"status": "new", "version": 0}
                entry["version"] += 1
                state[key] = entry
                batch.emit(f"{name}.out", key, msgspec.json.encode({"id": key, **entry}))

    @app.task
    async def report() -> None:
        while app.stats["records"] < count:  # noqa: ASYNC110 - it looks at a counter
            await asyncio.sleep(0.05)
        wall, cpu = time.time() - started[0][0], time.process_time() - started[0][1]
        stats = {key: value for key, value in app.stats.items() if key != "lag"}
        line = {"records_per_second": round(count / wall), "per_cpu_second": round(count / cpu)}
        print(json.dumps(line | stats), flush=True)
        os._exit(0)

    sys.exit(run_worker(app))


def restore(bootstrap: str, name: str, partitions: int) -> None:
    """Start once more and print how long the restore took."""
    import asyncio

    import msgspec

    from engine import EngineApp, run_worker

    app = EngineApp(
        name, bootstrap_servers=bootstrap, topic_partitions=partitions, data_dir=tempfile.mkdtemp()
    )
    table = app.transactional_table(
        "payments", encode=msgspec.json.encode, decode=msgspec.json.decode
    )

    @app.agent(app.batch_topic(f"{name}.in", decode=msgspec.json.decode))
    async def handle(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for _ in stream:
            continue

    @app.task
    async def report() -> None:
        while not app.ready:  # noqa: ASYNC110 - it looks at a flag
            await asyncio.sleep(0.05)
        line = {"restored_keys": len(table), "restore_seconds": app.stats["restore_seconds"]}
        print(json.dumps(line), flush=True)
        os._exit(0)

    sys.exit(run_worker(app))


def main() -> None:
    """One broker, `--runs` runs of one worker each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--part", nargs=3, metavar=("ROLE", "BOOTSTRAP", "NAME"))
    chosen = parser.parse_args()
    if chosen.part:
        role, bootstrap, name = chosen.part
        if role == "work":
            work(bootstrap, name, chosen.records, chosen.partitions)
        restore(bootstrap, name, chosen.partitions)
    run_all(chosen)


def run_all(chosen: argparse.Namespace) -> None:
    """Start the broker, load, measure."""
    from devstack.services import kafka, kafka_jars

    kafka_jars.fetch()
    with tempfile.TemporaryDirectory() as directory:
        cluster, children = kafka.start_in(Path(directory))
        try:
            for run in range(chosen.runs):
                name = f"bench-{run}"
                load(cluster.bootstrap_servers, name, chosen.records, chosen.partitions)
                for role in ("work", "restore"):
                    part(role, cluster.bootstrap_servers, name, chosen)
        finally:
            for child in children:
                child.kill_group()


def part(role: str, bootstrap: str, name: str, chosen: argparse.Namespace) -> None:
    """One worker process; its line goes to our stdout."""
    sizes = ["--records", str(chosen.records), "--partitions", str(chosen.partitions)]
    subprocess.run(
        [sys.executable, "-m", "bench.engine_throughput", "--part", role, bootstrap, name, *sizes],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )


if __name__ == "__main__":
    main()
