"""The same work on our engine, with generated codecs and defaults."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import msgspec
import psutil

from bench.contract import PARTITIONS, State, generated
from bench.workers.stopwatch import RECORDS, Stopwatch, say
from engine import BatchStream, EngineApp, EngineSettings, run_worker

CODECS = generated()
Event, write_event, read_command = CODECS["Event"], CODECS["write_Event"], CODECS["read_Command"]
NAME = os.environ["NAME"]
EVENTS = f"{NAME}-events"
SETTINGS = msgspec.json.decode(os.environ.get("SETTINGS", "{}"), type=EngineSettings)

app = EngineApp(
    NAME,
    bootstrap_servers=os.environ["BOOTSTRAP"],
    instance_id=os.environ.get("INSTANCE_ID", "0"),
    settings=SETTINGS,
    topic_partitions=PARTITIONS,
    data_dir=os.environ["WORK_DIR"],
)
watch = Stopwatch()


def first_decode(data: bytes) -> Any:
    """Starts the clock, then gets out of the way."""
    watch.start()
    commands.decode = read_command
    return read_command(data)


commands = app.batch_topic(os.environ["INPUT"], decode=first_decode)
payments = app.transactional_table(
    "payments", encode=msgspec.json.encode, decode=msgspec.json.Decoder(State).decode
)


@app.agent(commands)
async def handle(stream: BatchStream) -> None:
    """The work, per batch."""
    async for batch in stream:
        states = payments.partition(batch)
        for record in batch:
            command = record.value
            key = command.payment_id
            state = states.get(key)
            if state is None or command.command_id not in state.seen:
                amount = command.amount
                states[key] = State("new", amount, [command.command_id], 1)
                event = Event(payment_id=key, type="created", v=1, amount=amount)
                batch.emit(EVENTS, key, write_event(event))


@app.task
async def report() -> None:
    """Says when it is ready, and when all is committed."""
    before_bytes = psutil.Process().memory_info().rss
    while not app.ready:  # noqa: ASYNC110 - it polls a flag
        await asyncio.sleep(0.005)
    say(
        ready=True,
        keys=len(payments),
        restore_seconds=app.stats.restore_seconds,
        rss_before_bytes=before_bytes,
        rss_bytes=psutil.Process().memory_info().rss,
    )
    while not RECORDS or app.stats.records < RECORDS:  # noqa: ASYNC110 - it polls a counter
        await asyncio.sleep(0.01)
    watch.stop(stats=app.stats.as_dict())


if __name__ == "__main__":
    sys.exit(run_worker(app))
