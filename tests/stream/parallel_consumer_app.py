"""A worker with a parallel consumer, for tests: calls write a line to a journal, return one result.

Environment as in `counting_app`; a key that starts with "slow" takes long, "bad" always fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import msgspec

from engine import (
    CallResult,
    EngineApp,
    EngineSettings,
    ProducerRecord,
    RawRecord,
    Record,
    run_worker,
)

logging.basicConfig(stream=sys.stderr, level="INFO")
NAME = os.environ["NAME"]
WORK_DIR = Path(os.environ["WORK_DIR"])
JOURNAL = (WORK_DIR / "calls.txt").open("a")
CALL_SECONDS = float(os.environ.get("CALL_SECONDS", "0.01"))
running = 0
running_max = 0


def encode_dead_letter(record: RawRecord, reason_code: str, detail: str, source_app: str) -> bytes:
    return json.dumps([record.offset, reason_code, detail]).encode()


app = EngineApp(
    NAME,
    bootstrap_servers=os.environ["BOOTSTRAP"],
    instance_id=os.environ.get("INSTANCE_ID", "0"),
    settings=msgspec.convert(json.loads(os.environ["SETTINGS"]), EngineSettings),
    topic_partitions=int(os.environ["PARTITIONS"]),
    data_dir=WORK_DIR,
    dead_letter_topic=f"{NAME}.dlq",
    encode_dead_letter=encode_dead_letter,
)


async def call(record: Record) -> CallResult:
    global running, running_max  # noqa: PLW0603 - a gauge of this test process
    key = record.key or ""
    running += 1
    running_max = max(running_max, running)
    JOURNAL.write(f"{key} {record.value['n']}\n")
    JOURNAL.flush()
    try:
        if key.startswith("bad"):
            raise ConnectionError("no network")
        await asyncio.sleep(5.0 if key.startswith("slow") else CALL_SECONDS)
    finally:
        running -= 1
    return [ProducerRecord(f"{NAME}.out", key, json.dumps(record.value["n"]).encode())]


calls = app.parallel_consumer(
    f"{NAME}.in",
    decode=msgspec.json.decode,
    call=call,
    in_flight_max=50,
    attempts_max=3,
    backoff_seconds=0.05,
)


@app.task
async def report() -> None:
    while True:
        line = {"ready": app.ready, "running_max": running_max, **calls.counts}
        print(json.dumps(line), flush=True)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(run_worker(app))
