"""A worker for tests whose agent takes whole cycles; environment as in `counting_app`.

Every record becomes an event [key, amount, partition, offset]; each batch a line of JSON in
`batches.jsonl` of the work directory: the partitions and the number of records of it. Files in
WORK_DIR: `store-is-down` makes the agent retry, `kill-after-a-batch` kills the process there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from engine import EngineApp, EngineSettings, Retry, run_worker
from engine.consumers.dead_letters import RawRecord

logging.basicConfig(stream=sys.stderr, level="INFO", format="%(asctime)s %(name)s %(message)s")
logging.getLogger("aiokafka").setLevel("WARNING")

NAME = os.environ["NAME"]
WORK_DIR = Path(os.environ["WORK_DIR"])
RETRY_FILE = WORK_DIR / "store-is-down"
KILL_FILE = WORK_DIR / "kill-after-a-batch"
BATCHES_FILE = WORK_DIR / "batches.jsonl"


def encode_dead_letter(record: RawRecord, reason_code: str, detail: str, source_app: str) -> bytes:
    return json.dumps([record.partition, record.offset, reason_code, detail]).encode()


app = EngineApp(
    NAME,
    bootstrap_servers=os.environ["BOOTSTRAP"],
    settings=msgspec.convert(json.loads(os.environ["SETTINGS"]), EngineSettings),
    topic_partitions=int(os.environ["PARTITIONS"]),
    data_dir=WORK_DIR / "locks",
    dead_letter_topic=f"{NAME}.dlq",
    encode_dead_letter=encode_dead_letter,
)
commands = app.batch_topic(f"{NAME}.in", decode=msgspec.json.decode)
notes = app.transactional_table(
    "notes", encode=msgspec.json.encode, decode=msgspec.json.decode, due_ms=None
)


@app.agent(commands, merge_partitions=True)
async def forward(stream: Any) -> None:
    async for batch in stream:
        if RETRY_FILE.exists():
            raise Retry(0.2, "the store is down")
        for record in batch:
            if record.value.get("poison"):
                raise ValueError("poison")
            if record.value.get("table"):
                notes.partition(batch)
            event = [record.key, record.value["amount"], record.partition, record.offset]
            batch.emit(f"{NAME}.out", key=record.key, value=json.dumps(event).encode())
        with BATCHES_FILE.open("a") as lines:
            lines.write(json.dumps([batch.partitions, len(batch)]) + "\n")
        if KILL_FILE.exists():
            KILL_FILE.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


@app.task
async def report() -> None:
    """One line of JSON on stdout whenever something changed; tests wait for it."""
    last = None
    while True:
        stats = {name: n for name, n in app.stats.as_dict().items() if not name.endswith("seconds")}
        line = json.dumps({"ready": app.ready, **stats})
        if line != last:
            print(line, flush=True)
            last = line
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(run_worker(app))
