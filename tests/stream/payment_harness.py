"""A broker with all topics, a simulated card network, and a merchant who sends commands."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from polling import eventually
from sink_worker import publish_keyed, stored

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from devstack.traffic.card_encryption import CardEncryption
from paystream.operations.topics import create_all
from runtime.clock import now_ms
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.enums import EventType as E
from schemas.records import PaymentCommand, PaymentEvent
from schemas.topics import PAYMENTS_COMMANDS, PAYMENTS_EVENTS

MERCHANT = "mer_stream"
POLICY = {
    "PAYSTREAM_PAYMENTS_NETWORK_TIMEOUT_SECONDS": "20",
    "PAYSTREAM_PAYMENTS_STATUS_INQUIRY_BACKOFF_SECONDS": "1",
    "PAYSTREAM_PAYMENTS_ACTION_TIMEOUT_SECONDS": "2",
}


class Stack(NamedTuple):
    """What the tests of a module share."""

    broker: str
    network_url: str
    cards: CardEncryption
    network: Child
    directory: Path
    simulated: Path

    def log(self, payment_id: str) -> list[dict[str, Any]]:
        """Operations of a payment that took effect at the network."""
        with urllib.request.urlopen(f"{self.network_url}/log", timeout=5) as response:
            lines = [json.loads(line) for line in response.read().splitlines()]
        return [line for line in lines if line["idempotency_key"].startswith(payment_id)]

    def create(self, card: str, **fields: Any) -> PaymentCommand:
        key = f"key-{time.time_ns()}"
        payment_id = ids.payment_id(MERCHANT, "test", key)
        body = {"amount_minor": 1000, "currency": "EUR", "idempotency_key": key, **fields}
        return self.command(payment_id, "create", card=self.cards.card(card), **body)

    def command(self, payment_id: str, kind: str, **fields: Any) -> PaymentCommand:
        meaning = {name: value for name, value in fields.items() if name != "card"}
        return PaymentCommand(
            command_id=ids.command_id(payment_id, kind, str(time.time_ns())),
            payment_id=payment_id,
            merchant_id=MERCHANT,
            mode="test",
            kind=kind,
            fingerprint=ids.fingerprint({"kind": kind, **meaning}),
            issued_at_ms=now_ms(),
            source="producer",
            **fields,
        )

    def send(self, *commands: PaymentCommand) -> None:
        publish_keyed(self.broker, PAYMENTS_COMMANDS, [(c.payment_id, c) for c in commands])

    def ask(self, payment_id: str, kind: str, **fields: Any) -> None:
        self.send(self.command(payment_id, kind, **fields))

    def events(self, payment_id: str) -> list[PaymentEvent]:
        return stored(
            self.broker, PAYMENTS_EVENTS, PaymentEvent, lambda e: e.payment_id == payment_id
        )

    def reaches(self, payment_id: str, *types: str) -> list[PaymentEvent]:
        """Waits until the payment's events are exactly of these types."""

        def there() -> list[PaymentEvent] | None:
            found = self.events(payment_id)
            return found if [event.type for event in found] == list(types) else None

        try:
            return list(eventually(there, f"events {types}"))
        except AssertionError as error:
            seen = [(event.type, event.reason) for event in self.events(payment_id)]
            raise AssertionError(f"{error}; there are {seen}") from None


CHARGED = (E.CREATED, E.AUTHORIZED, E.CAPTURE_REQUESTED, E.CAPTURED)


@contextmanager
def open_stack(broker: str, directory: Path) -> Iterator[Stack]:
    """Topics and network; workers are the tests' own."""
    create_all(KafkaConnection(broker))
    simulated, port = directory / "network", free_port()
    simulated.mkdir()
    network = Child(network_launch(simulated, port))
    try:
        network.wait_ready()
        url = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{url}/.well-known/jwks.json", timeout=5) as response:
            cards = CardEncryption(json.loads(response.read()))
        yield Stack(broker, url, cards, network, directory, simulated)
    finally:
        network.kill_group()


def network_launch(directory: Path, port: int) -> Any:
    quick = {"latency_p50_ms": 10.0, "latency_p99_ms": 50.0, "faults": 0.0, "hold_seconds": 3.0}
    return simulator("network", port, directory, directory / "network.out", **quick)


def network_environment(url: str) -> dict[str, str]:
    return {
        "NETWORK_URL": url,
        "PAYSTREAM_NETWORK_TIMEOUT_SECONDS": "1",
        "PAYSTREAM_NETWORK_BACKOFF_SECONDS": "0.1",
        "PAYSTREAM_NETWORK_BREAKER_OPEN_SECONDS": "1",
        "PAYSTREAM_NETWORK_BREAKER_WINDOW_CALLS": "5",
        "PAYSTREAM_NETWORK_NOT_FOUND_TIMEOUT_SECONDS": "3",
    }
