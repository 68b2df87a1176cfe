"""A hand-written consume-transform-produce loop on confluent-kafka: what a specialist would write.

No tables that survive a rebalance, no restore, no poison handling; state is a dict.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.contract import decode_command, encode_event
from bench.workers.stopwatch import RECORDS, Stopwatch

BATCH_RECORDS = 4000


def main() -> None:
    """Until RECORDS are committed."""
    name, source, bootstrap = os.environ["NAME"], os.environ["INPUT"], os.environ["BOOTSTRAP"]
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": name,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "queued.min.messages": 20_000,
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "linger.ms": 5,
            "retry.backoff.ms": 5,
            "batch.num.messages": 10_000,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions()
    consumer.subscribe([source])
    loop(consumer, producer, name, source)


def loop(consumer: Any, producer: Any, name: str, source: str) -> None:
    """One transaction per batch."""
    watch, count = Stopwatch(), 0
    states: dict[str, Any] = {}
    while count < RECORDS:
        messages = consumer.consume(BATCH_RECORDS, 0.2)
        if not messages:
            continue
        watch.start()
        producer.begin_transaction()
        dirty, offsets = handle(messages, producer, states, f"{name}-events")
        for key, (state, partition) in dirty.items():
            producer.produce(
                f"{name}-changelog", msgspec.json.encode(state), key, partition=partition
            )
        producer.send_offsets_to_transaction(
            [TopicPartition(source, number, offset + 1) for number, offset in offsets.items()],
            consumer.consumer_group_metadata(),
        )
        producer.commit_transaction()
        count += len(messages)
    watch.stop()


def handle(
    messages: list[Any], producer: Any, states: dict[str, Any], events: str
) -> tuple[dict[str, Any], dict[int, int]]:
    """(changed states, last offsets) of a batch."""
    dirty: dict[str, Any] = {}
    offsets: dict[int, int] = {}
    for message in messages:
        command = decode_command(message.value())
        key, number = command["payment_id"], message.partition()
        state = states.get(key)
        if state is None or command["command_id"] not in state["seen"]:
            amount = command["amount"]
            state = {"status": "new", "amount": amount, "seen": [command["command_id"]], "v": 1}
            states[key] = state
            dirty[key] = (state, number)
            event = {"payment_id": key, "type": "created", "v": 1, "amount": amount}
            producer.produce(events, encode_event(event), key, partition=number)
        offsets[number] = message.offset()
    return dirty, offsets


if __name__ == "__main__":
    main()
