"""The programs in `examples/` on a real broker: killed once, nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from polling import eventually

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 45


@contextmanager
def running(
    example: str, broker: str, prefix: str, directory: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The program as its docstring says; ended by SIGTERM."""
    environment = {
        "BOOTSTRAP_SERVERS": broker,
        "TOPIC_PREFIX": prefix,
        "TMPDIR": str(directory),
        "PYTHONPATH": str(ROOT),
    }
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"examples.{example}"],
            cwd=directory,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(40)


def create_topics(broker: str, *names: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        future.result(20)


def send(broker: str, topic: str, keys: list[str]) -> None:
    """Records whose key and value are the same."""
    producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True})
    for key in keys:
        producer.produce(topic, key.encode(), key)
    assert producer.flush(20) == 0


class Reader:
    """What a topic holds so far, committed transactions only."""

    def __init__(self, broker: str, topic: str) -> None:
        settings = {"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest"}
        self._consumer = Consumer(settings)
        self._consumer.subscribe([topic])
        self.records: list[tuple[bytes, bytes]] = []

    def has(self, count: int) -> bool:
        found = [m for m in self._consumer.consume(500, 0.2) if m.error() is None]
        self.records += [(message.key(), message.value()) for message in found]
        return len(self.records) >= count

    def close(self) -> None:
        self._consumer.close()


@pytest.mark.parametrize(
    ("example", "source", "sink", "keys", "wanted"),
    [
        (
            "word_count",
            "words",
            "counts",
            ["to", "be", "or", "not", "to", "be"],
            [("to", 1), ("be", 1), ("or", 1), ("not", 1), ("to", 2), ("be", 2)],
        ),
        (
            "deduplication",
            "orders",
            "orders.once",
            ["a", "b", "c", "c", "d", "d"],
            [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")],
        ),
    ],
)
def test_an_example_survives_kill_9_without_loss_or_duplicate(
    example: str,
    source: str,
    sink: str,
    keys: list[str],
    wanted: list[tuple[str, object]],
    kafka_broker: str,
    unique_name: Callable[[str], str],
    tmp_path: Path,
) -> None:
    prefix = f"{unique_name(example)}."
    create_topics(kafka_broker, prefix + source, prefix + sink)
    reader = Reader(kafka_broker, prefix + sink)
    half = len(keys) // 2
    send(kafka_broker, prefix + source, keys[:half])
    with running(example, kafka_broker, prefix, tmp_path) as first:
        eventually(lambda: reader.has(half), "the first half")
        first.send_signal(signal.SIGKILL)
        first.wait(20)
    send(kafka_broker, prefix + source, keys[half:])
    with running(example, kafka_broker, prefix, tmp_path) as second:
        eventually(lambda: reader.has(len(wanted)), "the second half")
        second.terminate()
        assert second.wait(40) == 0, (tmp_path / "log").read_text()[-2000:]
    reader.has(len(wanted) + 1)
    reader.close()
    assert reader.records == [(k.encode(), str(v).encode()) for k, v in wanted]


@pytest.mark.parametrize("name", ["word_count.py", "deduplication.py"])
def test_an_example_stays_short(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text().splitlines()) <= LINES_MAX
