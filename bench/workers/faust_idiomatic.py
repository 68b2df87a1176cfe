"""Faust as its documentation shows it: an agent over single events, a Table, topic.send.

GUARANTEE: at_least_once or exactly_once (Faust's own).
"""

from __future__ import annotations

import os
from typing import Any

import faust
from faust.serializers import codecs

from bench.contract import PARTITIONS, decode_command, encode_event
from bench.workers.stopwatch import RECORDS, Stopwatch, say

NAME = os.environ["NAME"]


class CommandCodec(codecs.Codec):  # type: ignore[misc] # Faust carries no types
    """Avro commands."""

    def _loads(self, data: bytes) -> Any:
        return decode_command(data)


class EventCodec(codecs.Codec):  # type: ignore[misc] # Faust carries no types
    """Avro events."""

    def _dumps(self, value: Any) -> bytes:
        return encode_event(value)


codecs.register("bench-command", CommandCodec())
codecs.register("bench-event", EventCodec())
app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    processing_guarantee=os.environ["GUARANTEE"],
    value_serializer="json",
    web_enabled=False,
    broker_max_poll_records=5000,
    stream_buffer_maxsize=16384,
    datadir=os.environ["WORK_DIR"],
)
commands = app.topic(
    os.environ["INPUT"], key_type=str, key_serializer="raw", value_serializer="bench-command"
)
events = app.topic(
    f"{NAME}-events", key_serializer="raw", value_serializer="bench-event", partitions=PARTITIONS
)
payments = app.Table("payments", default=dict, partitions=PARTITIONS, key_type=str)
watch = Stopwatch()


@app.agent(commands)
async def handle(stream: Any) -> None:
    """The work, per event."""
    count = 0
    async for event in stream.events():
        watch.start()
        command = event.value
        key = command["payment_id"]
        state = payments.get(key)
        if not state or command["command_id"] not in state["seen"]:
            amount = command["amount"]
            payments[key] = {
                "status": "new",
                "amount": amount,
                "seen": [command["command_id"]],
                "v": 1,
            }
            await events.send(
                key=key.encode(),
                value={"payment_id": key, "type": "created", "v": 1, "amount": amount},
            )
        count += 1
        if count == RECORDS:
            watch.stop()


@app.task
async def ready() -> None:
    """Recovered and running."""
    say(ready=True)


if __name__ == "__main__":
    app.worker_init()
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False)
    worker.execute_from_commandline()
