"""The broker of a run, its topics, and the commands in them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.contract import PARTITIONS, generated
from devstack.services import kafka, kafka_jars

MERCHANTS = 1000


@dataclass
class BenchBroker:
    """One broker for all baselines of a run; `loaded`: topics of commands by their size."""

    bootstrap: str
    directory: Path
    loaded: dict[int, str] = field(default_factory=dict)
    _names: int = 0

    def new_name(self, what: str) -> str:
        """A consumer group and prefix of topics that nobody has used."""
        self._names += 1
        return f"bench-{self._names}-{what}"

    def topics(self, *names: str, compacted: bool = False) -> None:
        """Create topics of PARTITIONS partitions."""
        config = {"cleanup.policy": "compact"} if compacted else {}
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [NewTopic(name, PARTITIONS, 1, config=config) for name in names]
        for answer in admin.create_topics(wanted).values():
            answer.result(30)

    def commands(self, count: int) -> str:
        """A topic with `count` commands, each of a new payment; made once."""
        if count not in self.loaded:
            topic = f"bench-commands-{count}"
            self.topics(topic)
            load(self.bootstrap, topic, count)
            self.loaded[count] = topic
        return self.loaded[count]


@contextmanager
def bench_broker() -> Iterator[BenchBroker]:
    """A broker in a directory of its own; both are gone afterwards."""
    kafka_jars.fetch()
    with tempfile.TemporaryDirectory(prefix="paystream-bench-") as directory:
        cluster, children = kafka.start_in(Path(directory))
        try:
            yield BenchBroker(cluster.bootstrap_servers, Path(directory))
        finally:
            for child in children:
                child.kill_group()


def producer_to(bootstrap: str, linger_ms: int) -> Producer:
    """With the Java client's partitioner."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )


class Commands:
    """Commands of new payments, from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        codecs = generated()
        self._command, self._write = codecs["Command"], codecs["write_Command"]

    def next(self) -> tuple[str, bytes]:
        """(payment id, encoded command)."""
        payment = f"{self._random.getrandbits(128):032x}"
        command = self._command(
            payment_id=payment,
            command_id=f"{self._random.getrandbits(128):032x}",
            kind="create",
            merchant_id=f"m{self._random.randrange(MERCHANTS)}",
            amount=1000 + self._random.randrange(100),
            currency="EUR",
            at=int(time.time() * 1000),
        )
        return payment, self._write(command)


def load(bootstrap: str, topic: str, count: int) -> None:
    """Produce `count` commands. Raises RuntimeError if some were not acknowledged."""
    producer, commands = producer_to(bootstrap, 50), Commands(count)
    for number in range(count):
        key, value = commands.next()
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("commands were not acknowledged within 120 s")
