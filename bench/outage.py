"""ClickHouse stops while payments continue: how many records wait, and the catch-up rate."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from confluent_kafka import Producer

from bench.broker import BenchBroker, producer_to
from bench.domain import create_command, payment_history
from bench.figures import RESULTS, Figure
from bench.ledger import TIMEOUT_SECONDS, start_clickhouse
from bench.options import Options
from devstack.services import clickhouse
from devstack.services.child import Child, Launch, describe_exit
from devstack.services.ports import free_port
from paystream.operations import topics
from runtime.consumer_lag import GroupPosition, positions
from runtime.kafka_connection import KafkaConnection
from runtime.store_connections import ClickHouseConnection
from schemas.codec import encode
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.app import APP_ID
from sinks.audit.store import connect

EVENTS_PER_SECOND = 500
EVENTS_PER_PAYMENT = 3
SETTLED_RECORDS_MAX = 2 * EVENTS_PER_SECOND
"""The sink has caught up when it is two seconds behind: a cycle's length."""
SETTLE_SECONDS = 10.0
CATCH_UP_SECONDS_MAX = 3600.0
PROBE_SECONDS = 0.5
LOG_KEPT = RESULTS / "outage-sink.log"
UNBALANCED = (
    "SELECT currency, state, sum(balance_minor) AS rest FROM paystream.trial_balance "
    "GROUP BY currency, state HAVING rest != 0"
)


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """One outage of `outage_seconds` under a live rate; raises RuntimeError if a row is missing."""
    house = House(broker)
    try:
        house.start_clickhouse()
        house.start_sink()
        with LiveEvents(broker.bootstrap) as live:
            house.wait_until(lambda: house.behind() < SETTLED_RECORDS_MAX, "follow the live rate")
            time.sleep(SETTLE_SECONDS)
            house.kill_clickhouse()
            house.wait_out(options.outage_seconds)
            backlog, committed = house.behind(), house.committed()
            house.start_clickhouse()
            began = time.perf_counter()
            house.wait_until(lambda: house.behind() < SETTLED_RECORDS_MAX, "catch up")
            seconds = time.perf_counter() - began
            rate = (house.committed() - committed) / seconds
            memory_mb = house.sink_memory_mb()
        house.wait_until(lambda: house.behind() == 0, "read the rest")
        house.check(live.produced)
    finally:
        house.stop()
    return [
        Figure("outage", "ClickHouse away", "s", [options.outage_seconds]),
        Figure("outage", "events that waited in Kafka", "events", [backlog]),
        Figure("outage", "until caught up, under the live rate", "s", [seconds]),
        Figure("outage", "caught up at", "events/s", [rate]),
        Figure("outage", "multiple of the live rate", "x", [rate / EVENTS_PER_SECOND]),
        Figure("outage", "the sink's memory at most", "MB", [memory_mb]),
    ]


class House:
    """ClickHouse on one directory and port, and the audit sink that keeps running without it."""

    def __init__(self, broker: BenchBroker) -> None:
        self._bootstrap = broker.bootstrap
        self._directory = Path(broker.directory) / "outage"
        self._port = free_port()
        self._url = clickhouse.url(self._port)
        self._clickhouse: Child | None = None
        self._sink: Child | None = None
        topics.create_all(KafkaConnection(self._bootstrap))

    def start_clickhouse(self) -> None:
        """Empty at first, then with what it had."""
        self._clickhouse = start_clickhouse(self._directory, self._port)

    def kill_clickhouse(self) -> None:
        """As a machine that loses its power."""
        if self._clickhouse is not None:
            self._clickhouse.kill_group()

    def start_sink(self) -> None:
        """The worker that operators run, with its defaults."""
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self._bootstrap,
            "CLICKHOUSE_URL": self._url,
            "PAYSTREAM_STATE_DIR": str(self._directory / "state"),
        }
        command = (sys.executable, "-m", "paystream.cli", "worker", "audit")
        self._sink = Child(Launch("audit", command, self._directory / "audit.log", environment))

    def sink_memory_mb(self) -> float:
        """The most that its process has held so far, in megabytes of 10^6 bytes."""
        assert self._sink is not None
        return self._sink.memory_bytes_max() / 1e6

    def committed(self) -> int:
        """Offsets of the sink in payments.events, over all partitions."""
        return sum(position.next_offset for position in self._positions())

    def behind(self) -> int:
        """Consumer lag in records (and markers of transactions: the live events have none)."""
        return sum(position.lag for position in self._positions())

    def _positions(self) -> list[GroupPosition]:
        found = positions(KafkaConnection(self._bootstrap), [APP_ID])
        return [position for position in found if position.topic == PAYMENTS_EVENTS]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises RuntimeError when the sink has ended or does not get there."""
        deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
        while not condition():
            self._still_works(f"before it could {what}")
            if time.monotonic() > deadline:
                self._fail(f"the sink did not {what} within {CATCH_UP_SECONDS_MAX:.0f} s")
            time.sleep(PROBE_SECONDS)

    def wait_out(self, seconds: float) -> None:
        """The outage; the sink must live through it. Raises RuntimeError."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            self._still_works(f"{passed:.0f} s into the outage")
            time.sleep(PROBE_SECONDS)

    def _still_works(self, when: str) -> None:
        code = self._sink.exit_code() if self._sink is not None else None
        if code is not None:
            self._fail(f"the sink {describe_exit(code)} {when}")

    def _fail(self, what: str) -> NoReturn:
        LOG_KEPT.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._directory / "audit.log", LOG_KEPT)
        raise RuntimeError(f"{what}; its whole log is kept: {LOG_KEPT}")

    def check(self, produced: int) -> None:
        """Every event is there once, and the ledger balances. Raises RuntimeError."""
        with connect(ClickHouseConnection(self._url), TIMEOUT_SECONDS) as client:
            events = "SELECT count(), uniqExact(event_id) FROM paystream.payment_events"
            if client.query(events).result_rows != [(produced, produced)]:
                raise RuntimeError(f"not each of {produced} events is in the ledger once")
            unbalanced = client.query(UNBALANCED).result_rows
            if unbalanced:
                raise RuntimeError(f"the trial balance is not zero: {unbalanced}")

    def stop(self) -> None:
        """Nothing is left running."""
        for child in (self._sink, self._clickhouse):
            if child is not None:
                child.kill_group()


class LiveEvents:
    """Events of new payments at EVENTS_PER_SECOND, from a thread, while the block runs."""

    def __init__(self, bootstrap: str) -> None:
        self.produced = 0
        self._producer: Producer = producer_to(bootstrap, 5)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="live-events", daemon=True)

    def __enter__(self) -> LiveEvents:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._producer.flush(TIMEOUT_SECONDS):
            raise RuntimeError(f"events were not acknowledged within {TIMEOUT_SECONDS} s")

    def _produce(self) -> None:
        began, payment = time.monotonic(), 0
        while not self._over.is_set():
            due = int((time.monotonic() - began) * EVENTS_PER_SECOND / EVENTS_PER_PAYMENT)
            for number in range(payment, due):
                for _, event in payment_history(create_command(number)):
                    self._producer.produce(PAYMENTS_EVENTS, encode(event), event.payment_id)
                    self.produced += 1
            payment = due
            self._producer.poll(0)
            self._over.wait(0.02)
