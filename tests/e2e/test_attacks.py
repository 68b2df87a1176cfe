"""A program that may write to a client's topic harms nobody: each attack ends in one rejection.

The stack is secured. What is written to the API's topic is written with its stolen password.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from e2e.conftest import RunningStack
from msgspec.structs import replace
from polling import eventually

from devstack.traffic.card_encryption import CardEncryption
from paystream.verify.run import RULES, run_verify
from runtime.clickhouse import connect
from runtime.clock import now_ms
from runtime.id_generator import new_id
from runtime.kafka import producer_settings, read_topic
from runtime.settings import connections
from schemas import ids
from schemas.codec import decode, encode
from schemas.payment_commands import command_fingerprint
from schemas.records import PaymentCommand, PaymentEvent, Rejection
from schemas.signatures import sign
from schemas.topics import (
    MERCHANTS,
    PAYMENTS_COMMANDS,
    PAYMENTS_EVENTS,
    PAYMENTS_NETWORK_RESULTS,
    PAYMENTS_OPERATOR_COMMANDS,
    PAYMENTS_PRODUCER_COMMANDS,
    PAYMENTS_REJECTIONS,
    PAYMENTS_SETTLEMENTS,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]
PRIVATE = Ed25519PrivateKey.generate()
PAN = "4242424242424242"


class Merchant:
    """A registered merchant with a producer key in test mode."""

    def __init__(self, stack: RunningStack) -> None:
        self.writers = {
            PAYMENTS_COMMANDS: connections(stack.as_user("ingest_api")).kafka,
            PAYMENTS_PRODUCER_COMMANDS: connections(stack.as_user("producers")).kafka,
        }
        self.kafka = connections(stack.as_user("verify")).kafka
        self.api = stack.http_client()
        registered = self.post("/v1/merchants", {"name": "Attacked"})
        self.merchant_id = registered["id"]
        self.api.headers["Authorization"] = f"Bearer {registered['api_keys']['test']}"
        eventually(lambda: self.api.get("/v1/webhook_endpoints").status_code == 200, "the key")
        public_key = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
        self.key_id = self.post("/v1/producer_keys", {"public_key": public_key})["id"]
        self.cards = CardEncryption(self.api.get("/.well-known/jwks.json").json())

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.api.post(path, json=body, headers={"Idempotency-Key": new_id("key-")})
        assert answer.status_code in (200, 201, 202), answer.text
        return dict(answer.json())

    def command(self, kind: str = "create", **changes: Any) -> PaymentCommand:
        """A right command of this merchant, but for the changes."""
        key, merchant = new_id("key-"), changes.get("merchant_id", self.merchant_id)
        mode = changes.get("mode", "test")
        payment = changes.pop("payment_id", ids.payment_id(merchant, mode, key))
        create = {"amount_minor": 1000, "currency": "EUR", "card": self.cards.card("approve")}
        fields = {
            "command_id": ids.command_id(payment, kind, key),
            "payment_id": payment,
            "merchant_id": self.merchant_id,
            "mode": "test",
            "kind": kind,
            "fingerprint": "",
            "issued_at_ms": now_ms(),
            "source": "producer",
            "idempotency_key": key,
            **(create if kind == "create" else {}),
            **changes,
        }
        made = PaymentCommand(**fields)
        if "fingerprint" in changes or kind not in ("create", "refund"):
            return made
        return replace(made, fingerprint=command_fingerprint(made))

    def send(self, topic: str, command: PaymentCommand, *, signed: bool = True) -> str:
        """Its rejection id to be, once the broker has the record."""
        places: list[str] = []
        value = encode(command)
        producer = Producer(producer_settings(self.writers[topic]))
        producer.produce(
            topic,
            value,
            command.payment_id,
            headers=sign(PRIVATE, self.key_id, [value])[0] if signed else {},
            on_delivery=lambda _, m: places.append(f"{topic}/{m.partition()}/{m.offset()}"),
        )
        producer.flush(20)
        return places[0]

    def rejections(self) -> dict[str, list[Rejection]]:
        found: dict[str, list[Rejection]] = {}
        for stored in read_topic(self.kafka, PAYMENTS_REJECTIONS):
            rejection = decode(Rejection, stored.value or b"")
            found.setdefault(rejection.rejection_id, []).append(rejection)
        return found

    def events(self, payment_id: str) -> list[PaymentEvent]:
        return [
            decode(PaymentEvent, stored.value or b"")
            for stored in read_topic(self.kafka, PAYMENTS_EVENTS)
            if stored.key == payment_id
        ]

    def captured(self, card: str = "approve") -> str:
        """A payment of this merchant, through the API."""
        body = {"amount": 5000, "currency": "EUR", "card": self.cards.card(card)}
        return str(self.post("/v1/payments", body)["id"])

    def reaches(self, payment_id: str, status: str) -> None:
        def there() -> bool:
            return bool(self.api.get(f"/v1/payments/{payment_id}").json().get("status") == status)

        eventually(there, f"{payment_id} {status}", 90)


@pytest.fixture(scope="module")
def victim(secured_stack: RunningStack) -> Iterator[Merchant]:
    made = Merchant(secured_stack)
    yield made
    made.api.close()


@pytest.fixture(scope="module")
def attacker(secured_stack: RunningStack) -> Iterator[Merchant]:
    made = Merchant(secured_stack)
    yield made
    made.api.close()


def test_a_producer_pays_over_kafka(victim: Merchant) -> None:
    """The way that is meant: signed, and with the fee of the registry."""
    good = victim.command(fee_basis_points=0, fee_fixed_minor=0, source="operator")
    victim.send(PAYMENTS_PRODUCER_COMMANDS, good)
    victim.reaches(good.payment_id, "captured")
    created = victim.events(good.payment_id)[0]
    assert (created.source, created.fee_basis_points > 0) == ("producer", True)


def test_every_attack_ends_in_one_rejection(
    secured_stack: RunningStack, victim: Merchant, attacker: Merchant
) -> None:
    paid = victim.captured()
    victim.reaches(paid, "captured")
    slow = victim.captured("time_out_with_effect")
    result = {
        "operation": "authorize",
        "operation_id": f"{slow}:authorize:1",
        "attempt": 1,
        "outcome": "approved",
        "network_reference": "net_forged",
    }
    before = victim.events(paid)
    on = (PAYMENTS_COMMANDS, PAYMENTS_PRODUCER_COMMANDS)
    stranger = "mer_doesnotexist00000000000000"
    attacks = {
        "no_such_merchant": [attacker.command(merchant_id=stranger)],
        "kind_not_accepted": [
            victim.command("network_result", payment_id=slow, **result),
            victim.command("settle", payment_id=paid),
            victim.command("open_dispute", payment_id=paid, amount_minor=100, dispute_id="dsp_x"),
            victim.command("resolve_unknown", payment_id=slow, source="operator"),
        ],
        "no_such_payment": [attacker.command("refund", payment_id=paid, amount_minor=5000)],
        "card_number_in_clear": [
            victim.command(reference=f"PAN {PAN}"),
            victim.command(card=PAN),
        ],
        "payment_id_mismatch": [victim.command(payment_id="pay_" + "z" * 26)],
        "fingerprint_mismatch": [victim.command(fingerprint="0" * 64)],
        "time_out_of_bounds": [victim.command(issued_at_ms=now_ms() * 1000)],
    }
    expected: dict[str, str] = {}
    for reason, commands in attacks.items():
        for command in commands:
            sender = attacker if command.merchant_id == attacker.merchant_id else victim
            for topic in on:
                expected[sender.send(topic, command)] = reason
    live = victim.command(mode="live")
    expected[victim.send(PAYMENTS_PRODUCER_COMMANDS, victim.command(), signed=False)] = (
        "signature_missing"
    )
    expected[attacker.send(PAYMENTS_PRODUCER_COMMANDS, victim.command())] = "key_not_granted"
    expected[victim.send(PAYMENTS_PRODUCER_COMMANDS, live)] = "key_not_granted"

    eventually(lambda: expected.keys() <= victim.rejections().keys(), "the rejections", 60)
    found = victim.rejections()
    assert {place: [each.reason for each in found[place]] for place in expected} == {
        place: [reason] for place, reason in expected.items()
    }
    assert PAN not in repr([found[place] for place in expected])
    assert victim.events(paid) == before
    assert "net_forged" not in repr(victim.events(slow))
    victim.reaches(slow, "captured")
    assert Counter(event.source for event in victim.events(slow)).keys() <= {
        "api",
        "network",
        "network_notification",
        "deadlines",
    }
    judged = ("sources_are_right", "no_card_numbers", "events_are_recomputable")
    rules = tuple(rule for rule in RULES if rule.name in judged)
    report = run_verify(secured_stack.env, rules=rules)
    assert [(r.name, r.violations) for r in report.rules if r.violation_count] == []


FORBIDDEN = [
    *(
        (user, topic)
        for user in ("producers", "sinks-audit", "ingest_api")
        for topic in (
            PAYMENTS_NETWORK_RESULTS,
            PAYMENTS_SETTLEMENTS,
            PAYMENTS_OPERATOR_COMMANDS,
            MERCHANTS,
        )
    ),
    ("producers", PAYMENTS_COMMANDS),
    ("sinks-audit", PAYMENTS_COMMANDS),
    ("streams-network", PAYMENTS_COMMANDS),
]


@pytest.mark.parametrize(("user", "topic"), FORBIDDEN)
def test_the_access_list_keeps_a_writer_to_its_topics(
    secured_stack: RunningStack, user: str, topic: str
) -> None:
    refused: list[KafkaError | None] = []
    kafka = connections(secured_stack.as_user(user)).kafka
    producer = Producer(producer_settings(kafka) | {"enable.idempotence": False})
    producer.produce(topic, b"forged", b"pay_1", on_delivery=lambda e, _: refused.append(e))
    producer.flush(20)
    assert [error and error.name() for error in refused] == ["TOPIC_AUTHORIZATION_FAILED"]


def test_analysts_see_the_rejections(secured_stack: RunningStack, victim: Merchant) -> None:
    place = victim.send(PAYMENTS_COMMANDS, victim.command(fingerprint="f" * 64))

    def there() -> bool:
        rows = ledger.query(
            "SELECT reason FROM paystream.rejections WHERE rejection_id = {place:String}",
            parameters={"place": place},
        ).result_rows
        return bool(rows == [("fingerprint_mismatch",)])

    with connect(connections(secured_stack.env).clickhouse) as ledger:
        eventually(there, "the row", 60)
