"""Views and outcomes in a real Valkey, from events on a real broker."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from polling import eventually
from sink_worker import event, publish, worker

from devstack.services import valkey
from devstack.services.child import Child
from devstack.services.ports import free_port
from paystream.operations.topics import create_all
from runtime.kafka_connection import KafkaConnection
from runtime.store_connections import ValkeyConnection
from schemas.topics import PAYMENTS_EVENTS
from sinks.status.documents import Document
from sinks.status.settings import StatusSettings
from sinks.status.store import StatusWriter

pytestmark = pytest.mark.services
Unique = Callable[[str], str]


@pytest.fixture
def broker(kafka_broker: str) -> str:
    create_all(KafkaConnection(kafka_broker))
    return kafka_broker


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as opened:
        yield opened


def read(client: redis.Redis, key: str) -> dict[str, Any] | None:
    text: Any = client.get(key)
    return None if text is None else json.loads(text)


def test_views_and_outcomes_follow_the_events(
    broker: str, valkey_url: str, client: redis.Redis, unique_name: Unique, tmp_path: Path
) -> None:
    payment, merchant_id = unique_name("pay"), unique_name("mer")
    with worker("status", broker, tmp_path, {"REDIS_URL": valkey_url}) as child:
        publish(
            broker,
            PAYMENTS_EVENTS,
            payment,
            event(payment, merchant_id, 1),
            event(
                payment,
                merchant_id,
                2,
                type="payment.authorized",
                status="authorized",
                source="network",
                command_id=f"net_{payment}",
                authorized_minor=1000,
            ),
            event(
                payment,
                merchant_id,
                3,
                type="command.rejected",
                status="authorized",
                reason="amount_too_large",
                command_id=f"cap_{payment}",
                fingerprint="f3",
            ),
        )
        view = eventually(
            lambda: (v := read(client, f"payment:{payment}")) and v["sequence"] == 3 and v, "view"
        )
        assert (view["status"], view["fingerprint"]) == ("authorized", "f1")
        assert view["created_at_ms"] == 1_700_000_000_001
        assert view["last_command"]["reason"] == "amount_too_large"
        created = read(client, f"command:cmd_{payment}")
        refused = read(client, f"command:cap_{payment}")
        assert created is not None
        assert refused is not None
        assert (created["result"], created["fingerprint"]) == ("applied", "f1")
        assert (refused["result"], refused["reason"]) == ("rejected", "amount_too_large")
        assert read(client, f"command:net_{payment}") is None
        assert 86_000 < int(client.ttl(f"command:cmd_{payment}")) <= 86_400  # type: ignore[arg-type] # sync client
        assert client.ttl(f"payment:{payment}") == -1
        assert child.stop() == 0


def test_whatever_stands_at_a_key_is_replaced(
    broker: str, client: redis.Redis, valkey_url: str, unique_name: Unique, tmp_path: Path
) -> None:
    merchant_id = unique_name("mer")
    payments = [unique_name("pay") for _ in range(6)]
    odd, texts = payments[0], payments[1:5]
    client.rpush(f"payment:{odd}", "x")
    client.rpush(f"command:cmd_{odd}", "x")
    for payment, text in zip(
        texts, (b'{"sequence":"x"}', b"[" * 5_000, b'{"sequence":null}', b"\xff"), strict=True
    ):
        client.set(f"payment:{payment}", text)
    with worker("status", broker, tmp_path, {"REDIS_URL": valkey_url}) as child:
        for payment in payments:
            publish(broker, PAYMENTS_EVENTS, payment, event(payment, merchant_id))
        for payment in payments:
            eventually(
                lambda key=f"payment:{payment}": (
                    client.type(key) == b"string" and client.get(key).startswith(b'{"id"')
                ),
                f"the view of {payment}",
            )
        eventually(lambda: client.type(f"command:cmd_{odd}") == b"string", "the outcome")
        assert child.stop() == 0


def test_valkey_down_holds_the_events_and_loses_none(
    broker: str, unique_name: Unique, tmp_path: Path
) -> None:
    payment, merchant_id = unique_name("pay"), unique_name("mer")
    port = free_port()
    launch = valkey.launch(tmp_path / "valkey", port, tmp_path)
    env = {"REDIS_URL": valkey.url(port), "PAYSTREAM_STATUS_RETRY_SECONDS": "0.2"}
    with worker("status", broker, tmp_path, env) as child:
        publish(broker, PAYMENTS_EVENTS, payment, event(payment, merchant_id, 1))
        log = tmp_path / "status.log"
        eventually(lambda: "status_batch_not_written" in log.read_text(), "refusal")
        started = Child(launch)
        try:
            started.wait_ready()
            with redis.Redis.from_url(valkey.url(port)) as client:
                view = eventually(lambda: read(client, f"payment:{payment}"), "view")
                assert view["sequence"] == 1
            assert child.exit_code() is None
        finally:
            started.kill_group()


def test_a_worker_that_was_killed_goes_on_where_it_was(
    broker: str, valkey_url: str, client: redis.Redis, unique_name: Unique, tmp_path: Path
) -> None:
    payment, merchant_id = unique_name("pay"), unique_name("mer")
    env = {"REDIS_URL": valkey_url}
    with worker("status", broker, tmp_path, env) as child:
        publish(broker, PAYMENTS_EVENTS, payment, event(payment, merchant_id, 1))
        eventually(lambda: read(client, f"payment:{payment}"), "first view")
        child.signal(signal.SIGKILL)
        eventually(lambda: child.exit_code() is not None, "death")
    publish(
        broker,
        PAYMENTS_EVENTS,
        payment,
        event(payment, merchant_id, 2, type="payment.declined", status="declined"),
    )
    with worker("status", broker, tmp_path, env):
        eventually(
            lambda: (v := read(client, f"payment:{payment}")) and v["status"] == "declined",
            "second view",
        )


async def test_an_older_document_never_takes_the_place_of_a_newer_one(
    valkey_url: str, client: redis.Redis, unique_name: Unique
) -> None:
    key = unique_name("payment")
    store = StatusWriter(ValkeyConnection(valkey_url), StatusSettings(pipeline_keys_max=2))

    def document(sequence: int) -> Document:
        return Document(key, sequence, json.dumps({"sequence": sequence}).encode())

    try:
        assert await store.write([document(n) for n in (1, 3, 2, 3, 10, 9)]) == 4
        assert (await store.read([key]))[key] == b'{"sequence": 10}'
        client.set(key, "not json")
        assert await store.write([document(1)]) == 1
    finally:
        await store.close()
