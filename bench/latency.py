"""Milliseconds from produce() to the event in the hands of a read_committed consumer."""

from __future__ import annotations

import threading
import time

from confluent_kafka import Consumer, TopicPartition

from bench.broker import BenchBroker, Commands, producer_to
from bench.contract import PARTITIONS
from bench.figures import Figure
from bench.options import Options
from bench.testbed import FAUST_AT_LEAST_ONCE, FAUST_EXACTLY_ONCE, OURS, Baseline, Run

RATES = (200, 2000)
WARM_UP_SECONDS = 4.0
FAUST_TOO_SLOW_ABOVE = 1000  # its queue grows: there is no latency to measure
READY_SECONDS_MAX = 60.0


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """Percentiles per baseline and rate, one value per run."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for _ in range(options.runs):
        for baseline in (OURS, FAUST_AT_LEAST_ONCE, FAUST_EXACTLY_ONCE):
            for rate in RATES:
                if baseline is not OURS and rate > FAUST_TOO_SLOW_ABOVE:
                    continue
                delays = delays_ms(broker, baseline, rate, options.latency_seconds)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                    value = delays[min(int(len(delays) * share), len(delays) - 1)]
                    found.setdefault((baseline.name, rate, name), []).append(value)
    return [
        Figure("latency", f"{name} at {rate}/s, {share}", "ms", values)
        for (name, rate, share), values in found.items()
    ]


def delays_ms(broker: BenchBroker, baseline: Baseline, rate: int, seconds: int) -> list[float]:
    """Sorted; of what was sent after the warm-up. Raises RuntimeError if events are missing."""
    name = broker.new_name(f"latency-{baseline.name}")
    source = f"{name}-commands"
    broker.topics(source, f"{name}-events")
    environment = {"BOOTSTRAP": broker.bootstrap, "NAME": name, "INPUT": source}
    run = Run(baseline, broker.directory / name, environment)
    try:
        run.wait_for("ready", READY_SECONDS_MAX)
        watcher = EventWatcher(broker.bootstrap, f"{name}-events")
        sent = send_steadily(broker.bootstrap, source, rate, WARM_UP_SECONDS + seconds)
        seen = watcher.wait_for(set(sent), 30.0)
    finally:
        run.kill()
    begin = min(sent.values()) + WARM_UP_SECONDS
    return sorted((seen[key] - at) * 1000 for key, at in sent.items() if at >= begin)


def send_steadily(bootstrap: str, topic: str, rate: int, seconds: float) -> dict[str, float]:
    """Key -> time of its produce(); one every 1/rate seconds, late ones at once."""
    producer, commands = producer_to(bootstrap, 0), Commands(rate)
    sent: dict[str, float] = {}
    begin = time.perf_counter()
    for number in range(int(rate * seconds)):
        wait = begin + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        key, value = commands.next()
        sent[key] = time.perf_counter()
        producer.produce(topic, value, key)
        producer.poll(0)
    producer.flush(30)
    return sent


class EventWatcher:
    """Notes when each key is seen by a read_committed consumer; reads in a thread of its own."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.seen: dict[str, float] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"watch-{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 5,
                "fetch.queue.backoff.ms": 1,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._end.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.seen.setdefault(message.key().decode(), time.perf_counter())

    def wait_for(self, keys: set[str], timeout_seconds: float) -> dict[str, float]:
        """Until all keys were seen; ends the thread. Raises RuntimeError."""
        deadline = time.monotonic() + timeout_seconds
        while not keys <= self.seen.keys():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(keys - self.seen.keys())} events are missing")
            time.sleep(0.05)
        self.close()
        return self.seen

    def close(self) -> None:
        """Stop reading."""
        self._end.set()
        self._thread.join(10)
        self._consumer.close()
