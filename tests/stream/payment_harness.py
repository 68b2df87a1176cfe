"""A broker with all topics, a simulated card network, and a merchant who sends commands."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace
from polling import eventually
from sink_worker import merchant, publish_keyed, stored

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from devstack.traffic.card_encryption import CardEncryption
from paystream.operations.topics import create_all
from paystream.verify.command_log import CommandLog, decisions
from paystream.verify.dataset import Located
from runtime.clock import now_ms
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.codec import decode
from schemas.enums import EventType as E
from schemas.envelopes import to_message
from schemas.payment_commands import CLIENT_COMMAND_KINDS, command_fingerprint
from schemas.records import PaymentCommand, PaymentEvent
from schemas.topics import MERCHANTS, PAYMENT_COMMAND_TOPICS, PAYMENTS_EVENTS
from streams.agents.admission import with_source
from streams.agents.merchant_terms import terms_of
from streams.domain.admission import with_terms

MERCHANT = "mer_stream"
SYSTEM_SOURCES = {"settle": "reconciliation"}
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
        """As the API makes it; kinds that clients may not send are an operator's."""
        key = fields.pop("idempotency_key", str(time.time_ns()))
        is_client = kind in CLIENT_COMMAND_KINDS
        command = PaymentCommand(
            command_id=ids.command_id(payment_id, kind, key),
            payment_id=payment_id,
            merchant_id=MERCHANT,
            mode="test",
            kind=kind,
            fingerprint=ids.fingerprint({"kind": kind, "key": key}),
            issued_at_ms=now_ms(),
            source="api" if is_client else SYSTEM_SOURCES.get(kind, "operator"),
            idempotency_key=key,
            **fields,
        )
        return replace(command, fingerprint=command_fingerprint(command)) if is_client else command

    def send(self, *commands: PaymentCommand) -> None:
        """Each on the topic that accepts it from its source."""
        by_topic = groupby(commands, lambda command: to_message(command, "test").topic)
        for topic, group in by_topic:
            publish_keyed(self.broker, topic, [(c.payment_id, c) for c in group])

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


def decided_commands(broker: str, payment_ids: set[str]) -> list[PaymentCommand]:
    """The payments' commands that had events, as the agent decided them and in that order."""
    kafka = KafkaConnection(broker)
    located = [
        Located(r.partition, r.offset, _decided(r.value or b"", topic), topic)
        for topic in PAYMENT_COMMAND_TOPICS
        for r in read_topic(kafka, topic)
        if r.key in payment_ids
    ]
    events = (
        decode(PaymentEvent, r.value or b"")
        for r in read_topic(kafka, PAYMENTS_EVENTS)
        if r.key in payment_ids
    )
    log, commands = CommandLog(located), []
    for group in decisions(events):
        command, in_order = log.next(group[0])
        assert command is not None, group[0]
        assert in_order, group[0]
        commands.append(command)
    return commands


def _decided(value: bytes, topic: str) -> PaymentCommand:
    command = with_source(topic, decode(PaymentCommand, value))
    return with_terms(command, terms_of(merchant(MERCHANT)))


CHARGED = (E.CREATED, E.AUTHORIZED, E.CAPTURE_REQUESTED, E.CAPTURED)


@contextmanager
def open_stack(broker: str, directory: Path) -> Iterator[Stack]:
    """Topics and network; workers are the tests' own."""
    create_all(KafkaConnection(broker))
    publish_keyed(broker, MERCHANTS, [(MERCHANT, merchant(MERCHANT))])
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
