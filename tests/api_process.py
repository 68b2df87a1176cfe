"""The API in a process of its own, and what its tests put beside it: merchants and views."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from polling import eventually

from devstack.services.child import Child, Launch
from devstack.services.ports import free_port
from devstack.simulators.launch import answers
from ingest_api.merchants.keys import new_api_key
from runtime.id_generator import new_id
from runtime.kafka import StoredRecord, consumer_settings, producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import key_hash
from schemas.codec import decode, encode
from schemas.enums import Mode
from schemas.records import ApiKey, Merchant, MerchantCommand, PaymentCommand
from schemas.topics import (
    MERCHANTS,
    MERCHANTS_COMMANDS,
    PAYMENTS_COMMANDS,
    PAYMENTS_NETWORK_NOTIFICATIONS,
    TOPICS,
)
from streams.domain.merchants import MerchantPolicy, MerchantState, decide_merchant

MASTER_KEY = base64.b64encode(bytes(32)).decode()
ADMIN_TOKEN = "operator-token-of-tests"
JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
PAYMENT = {"amount": 1999, "currency": "EUR", "card": JWE}
WAIT_SECONDS = 20.0


@dataclass
class RunningApi:
    """A started API and a client of it."""

    child: Child
    http: httpx2.Client
    log_path: Path

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text()


@dataclass(frozen=True)
class Shop:
    """A registered merchant with its keys in clear."""

    merchant: Merchant
    keys: Mapping[Mode, str] = field(default_factory=dict)

    def headers(
        self, idempotency_key: str | None = None, mode: Mode = Mode.TEST, **more: str
    ) -> dict[str, str]:
        """Request headers in one mode; a new idempotency key unless one is given."""
        key = idempotency_key or new_id("key-")
        return {"Authorization": f"Bearer {self.keys[mode]}", "Idempotency-Key": key, **more}


def create_topics(bootstrap: str) -> None:
    """All topics of the system, unless another test has made them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    there = admin.list_topics(timeout=20).topics
    missing = [
        NewTopic(t.name, t.partitions, 1, config=t.broker_settings())
        for t in TOPICS.values()
        if t.name not in there
    ]
    for result in admin.create_topics(missing).values() if missing else ():
        result.result(20)


@contextmanager
def running_api(
    bootstrap: str,
    valkey: str,
    directory: Path,
    workers: int = 1,
    ready_url: str = "",
    **environment: str,
) -> Iterator[RunningApi]:
    """Start the API on a free port, wait until it is ready, end it at the exit."""
    port = free_port()
    log_path = directory / f"api-{port}.log"
    url = f"http://127.0.0.1:{port}"
    launch = Launch(
        name="api",
        command=(sys.executable, "-m", "ingest_api", f"--port={port}", f"--workers={workers}"),
        log_path=log_path,
        environment={
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "REDIS_URL": valkey,
            "PAYSTREAM_MASTER_KEY": MASTER_KEY,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PAYSTREAM_API_REGISTRATION_BURST": "1000",
            **environment,
        },
        ready=lambda: answers(f"{ready_url or url}/readyz"),
    )
    child = Child(launch)
    try:
        child.wait_ready()
        with httpx2.Client(base_url=url, timeout=WAIT_SECONDS) as client:
            yield RunningApi(child, client, log_path)
    finally:
        child.kill_group()


def make_shop(bootstrap: str, **changes: object) -> Shop:
    """A merchant as the merchant agent would publish it; any API follows within milliseconds."""
    keys = {mode: new_api_key(mode) for mode in Mode}
    merchant = Merchant(
        merchant_id=new_id("mer_"),
        version=1,
        name="Test shop",
        status="active",
        registered_at_ms=1,
        updated_at_ms=1,
        payout_schedule="daily",
        fee_basis_points=140,
        fee_fixed_minor=25,
        api_keys=[
            ApiKey(key_id=new_id("key_"), mode=mode.value, key_hash=key_hash(keys[mode]))
            for mode in Mode
        ],
    )
    shop = Shop(msgspec.structs.replace(merchant, **changes), keys)
    publish(bootstrap, shop.merchant)
    return shop


def publish(bootstrap: str, merchant: Merchant) -> None:
    """Put the merchant's snapshot on its topic."""
    producer = Producer(producer_settings(KafkaConnection(bootstrap)))
    producer.produce(MERCHANTS, encode(merchant), merchant.merchant_id)
    assert producer.flush(20) == 0


def known_shop(api: RunningApi, bootstrap: str, **changes: object) -> Shop:
    """A shop whose keys the API takes already."""
    shop = make_shop(bootstrap, **changes)
    headers = shop.headers()
    eventually(
        lambda: api.http.get("/v1/webhook_endpoints", headers=headers).status_code != 401,
        "the API follows the topic merchants",
    )
    return shop


def stored_commands(bootstrap: str, payment_id: str) -> list[tuple[StoredRecord, PaymentCommand]]:
    """What the API wrote for this payment, each topic in its order."""
    return [
        (record, decode(PaymentCommand, record.value or b""))
        for topic in (PAYMENTS_COMMANDS, PAYMENTS_NETWORK_NOTIFICATIONS)
        for record in read_topic(KafkaConnection(bootstrap), topic)
        if record.key == payment_id
    ]


def view(command: PaymentCommand, **changes: object) -> bytes:
    """A payment's view as the status sink writes it."""
    document = {
        "id": command.payment_id,
        "merchant_id": command.merchant_id,
        "mode": command.mode,
        "status": "captured",
        "amount": command.amount_minor,
        "currency": command.currency,
        "amount_authorized": command.amount_minor,
        "amount_captured": command.amount_minor,
        "amount_refunded": 0,
        "fees": 53,
        "capture_method": "automatic",
        "reference": command.reference,
        "decline_code": None,
        "action_url": None,
        "sequence": 4,
        "created_at_ms": command.issued_at_ms,
        "updated_at_ms": command.issued_at_ms + 5,
        "fingerprint": command.fingerprint,
        "last_command": {"id": command.command_id, "result": "applied", "reason": None},
    }
    return msgspec.json.encode(document | changes)


@contextmanager
def merchant_agent(bootstrap: str) -> Iterator[None]:
    """Publishes snapshots for the commands that come while it runs."""
    stopping, assigned = threading.Event(), threading.Event()
    states: dict[str, MerchantState] = {}

    def follow() -> None:
        group = new_id("agent-")
        settings = consumer_settings(KafkaConnection(bootstrap), group) | {
            "auto.offset.reset": "latest"
        }
        consumer = Consumer(settings)
        consumer.subscribe([MERCHANTS_COMMANDS], on_assign=lambda *_: assigned.set())
        while not stopping.is_set():
            message = consumer.poll(0.1)
            if message is None or message.error():
                continue
            command = decode(MerchantCommand, message.value())
            decision = decide_merchant(states.get(command.merchant_id), command, MerchantPolicy())
            states[command.merchant_id] = decision.state
            if decision.applied and decision.state.merchant is not None:
                publish(bootstrap, decision.state.merchant)
        consumer.close()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert assigned.wait(20)
        yield
    finally:
        stopping.set()
        thread.join(20)


def register(api: RunningApi, key: str = "", **body: object) -> httpx2.Response:
    """The answer to a registration under a new idempotency key unless one is given."""
    headers = {"Idempotency-Key": key or new_id("shop-")}
    return api.http.post("/v1/merchants", json={"name": "Shop", **body}, headers=headers)
