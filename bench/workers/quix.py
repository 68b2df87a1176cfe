"""Quix Streams with its exactly-once guarantee and RocksDB state, as its documentation shows it."""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application
from quixstreams.models import TopicConfig

from bench.contract import PARTITIONS, decode_command, encode_event
from bench.workers.stopwatch import RECORDS, Stopwatch

NAME = os.environ["NAME"]
watch = Stopwatch()
handled = iter(range(1, RECORDS + 1))


def handle(data: bytes, state: Any) -> bytes | None:
    """The work, per record; its key is the payment."""
    watch.start()
    command = decode_command(data)
    known = state.get("payment")
    event = None
    if known is None or command["command_id"] not in known["seen"]:
        amount = command["amount"]
        seen = [command["command_id"]]
        state.set("payment", {"status": "new", "amount": amount, "seen": seen, "v": 1})
        event = encode_event(
            {"payment_id": command["payment_id"], "type": "created", "v": 1, "amount": amount}
        )
    if next(handled) == RECORDS:
        watch.stop()
    return event


def main() -> None:
    """Until RECORDS are handled (the last commit is not waited for)."""
    app = Application(
        broker_address=os.environ["BOOTSTRAP"],
        consumer_group=NAME,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=0.5,
        loglevel="WARNING",
        state_dir=os.environ["WORK_DIR"],
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
    )
    source = app.topic(os.environ["INPUT"], value_deserializer="bytes", key_deserializer="bytes")
    events = app.topic(
        f"{NAME}-events",
        value_serializer="bytes",
        key_serializer="bytes",
        config=TopicConfig(num_partitions=PARTITIONS, replication_factor=1),
    )
    frame = app.dataframe(source)
    frame = frame.apply(handle, stateful=True).filter(lambda event: event is not None)
    frame.to_topic(events)
    app.run()


if __name__ == "__main__":
    main()
