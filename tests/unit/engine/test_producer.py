"""Every way a commit can go, with a scripted client; the real one is in tests/stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from fakes import FakeTable

import engine.transactions.producer
from engine.broker.clients import ClientConfig
from engine.errors import InstanceIdInUse, NonRetriableBrokerError, TransactionAborted
from engine.producer_record import ProducerRecord
from engine.settings import EngineSettings
from engine.transactions.offset_metadata import OffsetMetadata
from engine.transactions.producer import TransactionalProducer
from engine.transactions.transaction import Transaction
from engine.types import TopicPartition


class ScriptedClient:
    """Notes what is called; `script` gives a step's behaviour."""

    made: list[ScriptedClient]
    script: dict[str, Callable[[], None]]

    def __init__(self, settings: dict[str, Any], logger: Any) -> None:
        self.logger = logger
        self.settings = settings
        self.calls: list[str] = []
        self.produced: list[tuple[Any, ...]] = []
        self.offsets: list[Any] = []
        self._reports: list[Callable[[Any, Any], None]] = []
        self.made.append(self)

    def _step(self, name: str) -> None:
        self.calls.append(name)
        self.script.get(name, lambda: None)()

    def init_transactions(self, timeout: float) -> None:
        self._step("init")

    def begin_transaction(self) -> None:
        self._step("begin")

    def produce(self, *args: Any, on_delivery: Any = None, headers: Any = None) -> None:
        self.produced.append(args)
        if on_delivery is not None:
            self._reports.append(on_delivery)

    def flush(self, timeout: float) -> int:
        class Delivered:
            @staticmethod
            def offset() -> int:
                return 41

        for report in self._reports:
            report(None, Delivered)
        return 0

    def send_offsets_to_transaction(self, offsets: Any, metadata: bytes, timeout: float) -> None:
        self.offsets = offsets
        self._step("send_offsets")

    def commit_transaction(self, timeout: float) -> None:
        self._step("commit")

    def abort_transaction(self, timeout: float) -> None:
        self._step("abort")

    def poll(self, timeout: float) -> None:
        self._step("poll")

    def purge(self) -> None:
        self._step("purge")

    def close(self) -> None:
        self._step("close")


def fails(code: int, **flags: bool) -> Callable[[], None]:
    def step() -> None:
        raise KafkaException(KafkaError(code, "scripted", **flags))

    return step


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedClient]:
    ScriptedClient.made, ScriptedClient.script = [], {}
    monkeypatch.setattr(engine.transactions.producer, "KafkaProducer", ScriptedClient)
    return ScriptedClient.made


async def opened() -> TransactionalProducer:
    settings = EngineSettings(commit_hang_seconds=0.1)
    producer = TransactionalProducer(ClientConfig("app", "3", "127.0.0.1:1", settings))
    await producer.open()
    return producer


def transaction() -> Transaction:
    table = FakeTable().partition_state(0)
    made = Transaction()
    made.partitions[0] = [table]
    made.outputs.append(ProducerRecord("out", "k", b"v"))
    made.writes[table] = {"a": b"1", "b": None}
    made.handled({TopicPartition("in", 0): 9}, 2, good=True)
    return made


async def test_a_commit_writes_outputs_changelog_offsets_and_the_note(
    clients: list[ScriptedClient],
) -> None:
    producer = await opened()
    committed = transaction()
    await producer.commit(committed, b"metadata")
    client = clients[0]
    assert client.settings["transactional.id"] == "app-3"
    assert client.calls == ["init", "begin", "send_offsets", "commit", "poll"]
    assert client.produced == [
        ("out", b"v", "k", -1),
        ("app-counts-changelog", b"1", "a", 0),
        ("app-counts-changelog", None, "b", 0),
    ]
    assert (client.offsets[0].offset, client.offsets[0].partition) == (9, 0)
    assert OffsetMetadata.decode(client.offsets[0].metadata) == OffsetMetadata(
        "app-3", {"counts": 42}
    )
    assert next(iter(committed.positions.values())) == 42


async def test_a_transaction_right_after_another_adds_the_groups_offsets_first(
    clients: list[ScriptedClient],
) -> None:
    """Partitions added too soon cost 20 ms. The offsets sent last, with their note, count."""
    producer = await opened()
    await producer.commit(transaction(), b"metadata")
    clients[0].calls.clear()
    await producer.commit(transaction(), b"metadata")
    assert clients[0].calls == ["begin", "send_offsets", "send_offsets", "commit", "poll"]
    note = OffsetMetadata.decode(clients[0].offsets[0].metadata)
    assert note == OffsetMetadata("app-3", {"counts": 42})
    clients[0].calls.clear()
    await producer.commit(transaction(), b"next generation")
    assert clients[0].calls == ["begin", "send_offsets", "commit", "poll"], "no note names us yet"
    producer._committed_at -= 1
    clients[0].calls.clear()
    await producer.commit(transaction(), b"next generation")
    assert clients[0].calls == ["begin", "send_offsets", "commit", "poll"], "markers are written"


@pytest.mark.parametrize(
    ("facility", "text", "renewed"),
    [
        ("FAIL", "127.0.0.1:9092/1: Disconnected (after 2104ms in state UP)", True),
        ("FAIL", "TxnCoordinator: 1 request(s) timed out: disconnect", True),
        ("FAIL", "127.0.0.1:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused", False),
        ("REQTMOUT", "TxnCoordinator/1: Timed out EndTxnRequest in flight (after 10008ms)", True),
        ("REQTMOUT", "127.0.0.1:1/1: Timed out ApiVersionRequest in flight (after 5004ms)", False),
        ("REQTMOUT", "127.0.0.1:1/1: Timed out 0 in-flight, 0 retry-queued, 2 out-queue", False),
    ],
)
async def test_a_lost_connection_renews_the_epoch_before_the_next_transaction(
    clients: list[ScriptedClient], facility: str, text: str, renewed: bool
) -> None:
    producer = await opened()
    clients[0].logger.log(20, "%s [%s] %s", "GETPID", "producer-1", "Coordinator load")
    ScriptedClient.script = {
        "poll": lambda: clients[0].logger.log(20, "%s [%s] %s", facility, "producer-1", text)
    }
    await producer.commit(transaction(), b"")
    ScriptedClient.script = {}
    await producer.commit(transaction(), b"")
    await producer.commit(transaction(), b"")
    assert len(clients) == (2 if renewed else 1)
    assert clients[-1].calls[0] == "init"
    assert ("close" in clients[0].calls) is renewed


async def test_a_hanging_call_ends_in_a_new_producer(clients: list[ScriptedClient]) -> None:
    release = threading.Event()
    producer = await opened()
    ScriptedClient.script = {"send_offsets": release.wait}
    with pytest.raises(TransactionAborted, match="outcome unknown"):
        await producer.commit(transaction(), b"")
    assert not producer.usable
    ScriptedClient.script = {}
    await producer.open()
    await producer.commit(transaction(), b"")
    assert (len(clients), clients[1].calls[-1]) == (2, "poll")
    assert "close" not in clients[0].calls, "a hanging client cannot be closed"
    release.set()


async def test_less_patience_with_a_hanging_call_while_a_broker_is_away(
    clients: list[ScriptedClient],
) -> None:
    """It doubles while calls go on hanging: a slow cluster is no hanging client."""
    release = threading.Event()
    settings = EngineSettings(commit_hang_seconds=60, commit_timeout_after_disconnect_seconds=0.1)
    producer = TransactionalProducer(ClientConfig("app", "3", "127.0.0.1:1", settings))
    ScriptedClient.script = {"send_offsets": release.wait}
    limits = []
    for _ in range(2):
        await producer.open()
        refused = "127.0.0.1:1: Connect to 127.0.0.1:1 failed: Connection refused"
        clients[-1].logger.log(3, "%s %s %s", "FAIL", "client", refused)
        limits.append(producer._hang_limit(time.monotonic()))
        with pytest.raises(TransactionAborted, match="outcome unknown"):
            await producer.commit(transaction(), b"")
    assert limits == [0.1, 0.2]
    assert len(clients) == 2, "a connection that was never made is no reason for a new epoch"
    calm = await opened()
    assert calm._hang_limit(time.monotonic()) == calm._settings.commit_hang_seconds
    assert calm._hang_limit(time.monotonic() - 10) == 1.0, "who wrote so slowly waited for a leader"
    release.set()


async def test_a_stale_generation_is_fenced_and_aborted(clients: list[ScriptedClient]) -> None:
    producer = await opened()
    ScriptedClient.script = {
        "send_offsets": fails(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True)
    }
    with pytest.raises(TransactionAborted) as aborted:
        await producer.commit(transaction(), b"")
    assert aborted.value.fenced
    assert clients[0].calls[-1] == "abort"
    assert producer.usable


async def test_a_fatal_error_replaces_the_client(clients: list[ScriptedClient]) -> None:
    producer = await opened()
    ScriptedClient.script = {"commit": fails(KafkaError._FENCED, fatal=True)}
    with pytest.raises(TransactionAborted) as aborted:
        await producer.commit(transaction(), b"")
    assert aborted.value.fenced
    assert not producer.usable
    assert clients[0].calls[-1] == "close"


async def test_a_failing_abort_or_close_is_survived(clients: list[ScriptedClient]) -> None:
    producer = await opened()
    ScriptedClient.script = {
        "send_offsets": fails(KafkaError._TIMED_OUT, txn_requires_abort=True),
        "abort": fails(KafkaError.INVALID_TXN_STATE, fatal=True),
        "close": fails(KafkaError._FATAL, fatal=True),
    }
    with pytest.raises(TransactionAborted):
        await producer.commit(transaction(), b"")
    assert not producer.usable


async def test_an_unknown_outcome_is_never_guessed(clients: list[ScriptedClient]) -> None:
    """Neither fatal nor abortable: the commit may have happened."""
    producer = await opened()
    ScriptedClient.script = {"commit": fails(KafkaError._TIMED_OUT)}
    with pytest.raises(TransactionAborted):
        await producer.commit(transaction(), b"")
    assert not producer.usable
    assert "abort" not in clients[0].calls


async def test_retriable_errors_are_repeated(clients: list[ScriptedClient]) -> None:
    producer = await opened()
    answers = [fails(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)] * 2
    ScriptedClient.script = {"commit": lambda: answers.pop()() if answers else None}
    await producer.commit(transaction(), b"")
    assert clients[0].calls.count("commit") == 3


@pytest.mark.parametrize("step", ["init", "send_offsets"])
async def test_a_missing_right_is_named(clients: list[ScriptedClient], step: str) -> None:
    ScriptedClient.script = {
        step: fails(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, txn_requires_abort=True)
    }
    with pytest.raises(NonRetriableBrokerError, match="rights of this worker"):
        await (await opened()).commit(transaction(), b"")


async def test_another_worker_with_this_instance_id_is_named(clients: list[ScriptedClient]) -> None:
    producer = await opened()
    ScriptedClient.script = {
        "send_offsets": fails(KafkaError.FENCED_INSTANCE_ID, txn_requires_abort=True)
    }
    with pytest.raises(InstanceIdInUse, match="instance id '3'"):
        await producer.commit(transaction(), b"")


async def test_open_waits_for_a_coordinator(clients: list[ScriptedClient]) -> None:
    answers = [fails(KafkaError.COORDINATOR_NOT_AVAILABLE, retriable=True)]
    ScriptedClient.script = {"init": lambda: answers.pop()() if answers else None}
    producer = await opened()
    assert producer.usable
    assert len(clients) == 2


def test_a_transaction_sends_one_request_at_a_time() -> None:
    """With two in flight librdkafka may call the first delivered because the second was taken."""
    settings = EngineSettings(extra={"max.in.flight.requests.per.connection": 5})
    config = ClientConfig("app", "0", "127.0.0.1:1", settings)
    assert config.transactional_producer()["max.in.flight.requests.per.connection"] == 1
