"""A broker, a ClickHouse that can be killed, and the audit sink between them."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from contract.ledger_scenario import PARTITIONS, Shop, records_of

from devstack.services import clickhouse, kafka
from devstack.services.child import Child, Launch
from devstack.services.ports import free_port
from paystream.operations import topics
from paystream.verify.dataset import Dataset
from paystream.verify.live import LiveSources
from paystream.verify.result import RuleResult
from paystream.verify.run import CHAIN_RULES, check
from runtime.kafka_connection import KafkaConnection
from runtime.store_connections import ClickHouseConnection
from schemas.codec import encode
from sinks.audit.app import APP_ID, SOURCES
from sinks.audit.ledger import ENTRY_COLUMNS_SQL, expected_entries
from sinks.audit.migrations import migrate
from sinks.audit.store import connect

TESTS = Path(__file__).resolve().parents[1]
WAIT_SECONDS = 120.0


class AuditStack:
    """Everything of one test in one directory; `stop` leaves no process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cluster, self._brokers = kafka.start_in(directory / "kafka")
        self.bootstrap = self.cluster.bootstrap_servers
        topics.create_all(KafkaConnection(self.bootstrap))
        self.port = free_port()
        self.clickhouse: Child | None = None
        self.worker: Child | None = None
        self.produced = 0

    @property
    def url(self) -> str:
        return clickhouse.url(self.port)

    def start_clickhouse(self) -> None:
        """On the same directory and port each time; migrates it."""
        self.clickhouse = Child(
            clickhouse.launch(self.directory / "clickhouse", self.port, self.directory)
        )
        self.clickhouse.wait_ready()
        with connect(ClickHouseConnection(self.url), 60) as client:
            migrate(client)

    def kill_clickhouse(self) -> None:
        assert self.clickhouse is not None
        self.clickhouse.kill_group()

    def start_worker(self, **environment: str) -> Child:
        known = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "CLICKHOUSE_URL": self.url,
            "PAYSTREAM_STATE_DIR": str(self.directory / "state"),
            "PAYSTREAM_AUDIT_RETRY_SECONDS": "0.1",
            "PAYSTREAM_AUDIT_RETRY_SECONDS_MAX": "0.5",
            "PAYSTREAM_AUDIT_CHECKPOINT_INTERVAL_SECONDS": "0.5",
            "PAYSTREAM_ENGINE_SESSION_TIMEOUT_SECONDS": "6",
            "PAYSTREAM_ENGINE_HEARTBEAT_SECONDS": "1",
            "PYTHONPATH": str(TESTS),
        }
        self.worker = Child(
            Launch(
                name="audit",
                command=(sys.executable, "-m", "stream.audit_worker"),
                log_path=self.directory / "audit.log",
                environment=known | environment,
            )
        )
        return self.worker

    def stop_worker(self) -> int:
        assert self.worker is not None
        return self.worker.stop(30.0)

    def wait_killed(self) -> int:
        """The exit code of a worker that ends by itself."""
        assert self.worker is not None
        self.until(lambda: self.worker is not None and self.worker.exit_code() is not None)
        code = self.worker.exit_code()
        assert code is not None
        return code

    def produce(self, shop: Shop) -> None:
        """Every record of the shop, to the partition that its offsets were counted for."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})
        for topic, records in records_of(shop).items():
            for value, origin in records:
                producer.produce(topic, encode(value), partition=origin.partition)
                self.produced += 1
        assert producer.flush(30) == 0

    def produce_bytes(self, topic: str, value: bytes, partition: int) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})
        producer.produce(topic, value, b"pay_bad", partition, headers=[("ce_id", b"pay_bad-1")])
        assert producer.flush(30) == 0
        self.produced += 1

    def committed(self) -> int:
        """Records whose offsets the sink has committed, over all its topics."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": APP_ID,
                "isolation.level": "read_uncommitted",  # a killed sink's transaction is still open
            }
        )
        places = [TopicPartition(name, number) for name in SOURCES for number in range(PARTITIONS)]
        found: list[TopicPartition] = []

        def answered() -> bool:
            with suppress(KafkaException):  # a fresh broker has no coordinator for a moment
                found[:] = consumer.committed(places, timeout=20)
            return bool(found)

        self.until(answered)
        consumer.close()
        return sum(max(0, place.offset) for place in found)

    def wait_committed(self) -> None:
        self.until(lambda: self.committed() >= self.produced)

    def rewind(self) -> None:
        """Forget how far the sink came, as an operator who wants everything read again."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        places = [
            TopicPartition(name, number, 0) for name in SOURCES for number in range(PARTITIONS)
        ]
        request = ConsumerGroupTopicPartitions(APP_ID, places)

        def rewound() -> bool:
            [answer] = admin.alter_consumer_group_offsets([request]).values()
            with suppress(KafkaException):  # a static member is listed until its session ends
                return all(place.error is None for place in answer.result(20).topic_partitions)
            return False

        self.until(rewound)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._client() as client:
            return [tuple(row) for row in client.query(sql).result_rows]

    def raw_entries(self) -> int:
        return int(self.ask("SELECT count() FROM paystream_raw.ledger_entries")[0][0])

    def check(self, shop: Shop) -> None:
        """Views equal the pure recomputation, and every account of every currency balances."""
        expected = sorted(expected_entries([*shop.payments, *shop.payouts]))
        found = sorted(self.ask(f"SELECT {ENTRY_COLUMNS_SQL} FROM paystream.ledger_entries"))
        assert found == [tuple(row) for row in expected]
        events = self.ask("SELECT event_id FROM paystream.payment_events")
        assert sorted(events) == sorted((event.event_id,) for event in shop.payments)
        sums = self.ask(
            "SELECT currency, state, sum(balance_minor) FROM paystream.trial_balance GROUP BY ALL"
        )
        assert sums
        assert all(balance == 0 for *_, balance in sums)

    def check_chain(self) -> int:
        """`paystream verify --chain`, once every row is signed; how many facts were compared."""
        env = {
            "CLICKHOUSE_URL": self.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "PAYSTREAM_STATE_DIR": str(self.directory / "state"),
        }
        found: list[RuleResult] = []

        def signed() -> bool:
            found[:] = [check(rule, Dataset(LiveSources(env), env)) for rule in CHAIN_RULES]
            return not any("are not signed" in note for note in found[0].notes)

        self.until(signed)
        assert [result.held for result in found] == [True, True], found
        return sum(result.checked for result in found)

    def logs_all(self) -> str:
        return (self.directory / "audit.log").read_text()

    def logs(self) -> str:
        return self.logs_all()[-6000:]

    def stop(self) -> None:
        for child in (self.worker, self.clickhouse, *self._brokers):
            if child is not None:
                child.kill_group()

    def _client(self) -> Client:
        return connect(ClickHouseConnection(self.url), 60)

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)


def another_shop(shop: Shop, number: int) -> Shop:
    """The same day with other ids: more load for the same checks."""
    text = f"shop{number}_"
    copy = Shop()
    copy.payments = [
        msgspec.structs.replace(
            event,
            payment_id=event.payment_id.replace("pay_", f"pay_{text}"),
            event_id=event.event_id.replace("pay_", f"pay_{text}"),
        )
        for event in shop.payments
    ]
    return copy
