"""A worker for tests: per key a running count and sum; started as a process of its own.

Reads `<name>.in`, writes `<name>.out`; the table is `counts`. Environment: BOOTSTRAP, NAME,
INSTANCE_ID, WORK_DIR, SETTINGS (JSON of EngineSettings), PARTITIONS, REPLICATION, HOST,
FAIL_POINT ("step:times:action"), SLOW_RESTORE (seconds per 100 changelog records, none read ahead),
UPTIME (seconds that the group's client thinks it has been up longer than it has).
Files in WORK_DIR: `store-is-down` makes the agent retry; `agent-fault` holds what goes wrong.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.consumer.subscription_state import SubscriptionState

from engine import EngineApp, EngineSettings, Retry, run_worker
from engine.broker.clients import ClientConfig
from engine.consumers.dead_letters import RawRecord
from engine.state import changelog

logging.basicConfig(stream=sys.stderr, level="INFO", format="%(asctime)s %(name)s %(message)s")
logging.getLogger("aiokafka").setLevel("WARNING")

NAME = os.environ["NAME"]
SETTINGS = msgspec.convert(json.loads(os.environ.get("SETTINGS", "{}")), EngineSettings)
WORK_DIR = Path(os.environ["WORK_DIR"])
RETRY_FILE = WORK_DIR / "store-is-down"
FAULT_FILE = WORK_DIR / "agent-fault"


def encode_dead_letter(record: RawRecord, reason_code: str, detail: str, source_app: str) -> bytes:
    return json.dumps(
        [record.topic, record.partition, record.offset, reason_code, detail, source_app]
    ).encode()


app = EngineApp(
    NAME,
    bootstrap_servers=os.environ["BOOTSTRAP"],
    instance_id=os.environ.get("INSTANCE_ID", "0"),
    settings=SETTINGS,
    topic_partitions=int(os.environ.get("PARTITIONS", "4")),
    replication=int(os.environ.get("REPLICATION", "1")),
    data_dir=WORK_DIR / "locks" / os.environ.get("HOST", "here"),
    dead_letter_topic=os.environ.get("DEAD_LETTERS") or None,
    encode_dead_letter=encode_dead_letter if os.environ.get("DEAD_LETTERS") else None,
)
commands = app.batch_topic(f"{NAME}.in", decode=msgspec.json.decode)
counts = app.transactional_table(
    "counts",
    encode=msgspec.json.encode,
    decode=msgspec.json.decode,
    due_ms=lambda state: state["due_ms"],
)


@app.agent(commands)
async def count(stream: Any) -> None:
    async for batch in stream:
        if RETRY_FILE.exists():
            raise Retry(0.2, "the store is down")
        await _fault()
        state = counts.partition(batch)
        for record in batch:
            command = record.value
            if command.get("hang"):
                await asyncio.sleep(3600)
            if command.get("poison"):
                raise ValueError("poison")
            if "value_bytes" in command:
                noise = random.Random(0).randbytes(command["value_bytes"] // 2)
                state[record.key] = {"due_ms": None, "text": noise.hex()}
                continue
            entry = state.get(record.key) or {"count": 0, "sum": 0, "due_ms": None}
            entry["count"] += 1
            entry["sum"] += command["amount"]
            entry["due_ms"] = command.get("due_ms")
            state[record.key] = entry
            event = [record.key, entry["count"], entry["sum"], record.partition, record.offset]
            batch.emit(f"{NAME}.out", key=record.key, value=json.dumps(event).encode())


async def _fault() -> None:
    """What the test wrote into `agent-fault`: a stall of one kind, or a coroutine that ends."""
    fault = FAULT_FILE.read_text() if FAULT_FILE.exists() else ""
    if fault == "hang":
        await asyncio.sleep(3600)
    elif fault == "block":
        time.sleep(3600)  # noqa: ASYNC251 - the fault is just this
    elif fault == "deaf":
        consumer = app.context.fetcher.consumer
        consumer.pause(consumer.assignment())


@app.task
async def report() -> None:
    """One line of JSON on stdout whenever something changed; tests wait for it."""
    last = None
    while True:
        now_ms = int(time.time() * 1000)
        line = json.dumps(
            {
                "ready": app.ready,
                "entries": len(counts),
                "due": len(counts.due(now_ms, 100_000)),
                "owned": len(counts.owned_partitions),
                **{k: v for k, v in app.stats.as_dict().items() if not k.endswith("seconds")},
            }
        )
        if line != last:
            print(line, flush=True)
            last = line
        await asyncio.sleep(0.05)


def _fail_point_from_environment() -> None:
    """FAIL_POINT=before_commit:3:kill: at the third time of this step, kill or stop this process,
    or hang in it; sleep0.1 is done every time.
    """
    wanted, times, action = os.environ["FAIL_POINT"].split(":")
    seen = 0

    def fail_point(step: str) -> None:
        nonlocal seen
        if step != wanted:
            return
        seen += 1
        if action.startswith("sleep"):
            time.sleep(float(action[5:]))
        elif seen == int(times) and action == "hang":
            print(json.dumps({"hangs": True}), flush=True)
            time.sleep(3600)
        elif seen == int(times):
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])

    app.context.producer.fail_point = fail_point


def _restore_slowly() -> None:
    apply = changelog.ChangelogReader._apply

    def slow_apply(reader: Any, messages: list[Any]) -> int:
        time.sleep(float(os.environ["SLOW_RESTORE"]))
        return apply(reader, messages)

    settings = ClientConfig.restore_consumer
    in_small_steps = {
        "queued.min.messages": 1,
        "queued.max.messages.kbytes": 8,
        "fetch.message.max.bytes": 8_000,
    }
    ClientConfig.restore_consumer = lambda self: settings(self) | in_small_steps  # type: ignore[method-assign] # the log must still be needed when its leader dies
    changelog.RECORDS_PER_POLL = 100
    changelog.ChangelogReader._apply = slow_apply  # type: ignore[method-assign] # a slower machine


def _up_for_long() -> None:
    idle = SubscriptionState.fetcher_idle_time.fget
    assert idle is not None
    longer = float(os.environ["UPTIME"])
    SubscriptionState.fetcher_idle_time = property(lambda state: idle(state) + longer)  # type: ignore[assignment] # nobody waits for that


if os.environ.get("FAIL_POINT"):
    _fail_point_from_environment()
if os.environ.get("SLOW_RESTORE"):
    _restore_slowly()
if os.environ.get("UPTIME"):
    _up_for_long()

if __name__ == "__main__":
    sys.exit(run_worker(app))
