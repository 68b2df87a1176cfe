"""What the stream tests of the sinks share: a worker process, a producer, reading topics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from confluent_kafka import Producer
from polling import PATIENCE_SECONDS

from devstack.services.child import Child, Launch
from devstack.services.ports import free_port
from devstack.simulators.launch import answers
from runtime.kafka import producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.codec import decode, encode
from schemas.records import ApiKey, Endpoint, Merchant, PaymentEvent

R = TypeVar("R", bound=msgspec.Struct)
MASTER_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@contextmanager
def worker(name: str, bootstrap: str, directory: Path, env: Mapping[str, str]) -> Iterator[Child]:
    """`python -m workers NAME`, ready; killed at the exit unless it has ended by then."""
    child = start_worker(name, bootstrap, directory, env)
    try:
        yield child
    finally:
        child.kill_group()


def start_worker(name: str, bootstrap: str, directory: Path, env: Mapping[str, str]) -> Child:
    """A ready worker; call `kill_group` in the end."""
    port = free_port()
    launch = Launch(
        name=f"worker {name}",
        command=(sys.executable, "-m", "workers", name, "--instance-id", "0"),
        log_path=directory / f"{name}.log",
        environment={
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "PAYSTREAM_STATE_DIR": str(directory),
            "PAYSTREAM_MASTER_KEY": MASTER_KEY,
            "PAYSTREAM_ENGINE_SESSION_TIMEOUT_SECONDS": "6",
            "HEALTH_PORT": str(port),
            **env,
        },
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
        ready_timeout_seconds=PATIENCE_SECONDS,
    )
    child = Child(launch)
    try:
        child.wait_ready()
    except BaseException:
        child.kill_group()
        raise
    return child


def publish(bootstrap: str, topic: str, key: str, *records: msgspec.Struct) -> None:
    """Write records under one key and wait for the broker's acknowledgement."""
    publish_keyed(bootstrap, topic, [(key, record) for record in records])


def publish_keyed(bootstrap: str, topic: str, keyed: list[tuple[str, msgspec.Struct]]) -> None:
    """Write (key, record) pairs and wait for the broker's acknowledgement."""
    producer = Producer(producer_settings(KafkaConnection(bootstrap)))
    for key, record in keyed:
        producer.produce(topic, encode(record), key)
    assert producer.flush(20) == 0


def stored(bootstrap: str, topic: str, cls: type[R], wanted: Callable[[R], bool]) -> list[R]:
    """Committed records of the topic that are wanted."""
    found = (
        decode(cls, r.value)
        for r in read_topic(KafkaConnection(bootstrap), topic)
        if r.value is not None
    )
    return [record for record in found if wanted(record)]


def merchant(merchant_id: str, *endpoints: Endpoint, **changes: Any) -> Merchant:
    """A registered merchant."""
    fields = {
        "merchant_id": merchant_id,
        "version": 1,
        "name": "Shop",
        "status": "active",
        "registered_at_ms": 1,
        "updated_at_ms": 1,
        "bank_account": "DE00ACCEPT1",
        "payout_schedule": "manual",
        "fee_basis_points": 100,
        "fee_fixed_minor": 0,
        "api_keys": [ApiKey(key_id="k", mode="live", key_hash="h")],
        "endpoints": list(endpoints),
    }
    return Merchant(**(fields | changes))


def event(payment_id: str, merchant_id: str, sequence: int = 1, **changes: Any) -> PaymentEvent:
    """A payment's event; live, 10.00 EUR."""
    fields: dict[str, Any] = {
        "event_id": f"{payment_id}-{sequence}",
        "payment_id": payment_id,
        "merchant_id": merchant_id,
        "mode": "live",
        "sequence": sequence,
        "type": "payment.created",
        "status": "authorizing",
        "command_id": f"cmd_{payment_id}",
        "command_kind": "create",
        "fingerprint": "f1",
        "occurred_at_ms": 1_700_000_000_000 + sequence,
        "source": "api",
        "currency": "EUR",
        "amount_minor": 1000,
        "fee_minor": 0,
        "requested_minor": 1000,
        "authorized_minor": 0,
        "captured_minor": 0,
        "refunded_minor": 0,
        "fees_minor": 0,
        "capture_method": "automatic",
        "fee_basis_points": 100,
        "fee_fixed_minor": 0,
    }
    return PaymentEvent(**(fields | changes))
