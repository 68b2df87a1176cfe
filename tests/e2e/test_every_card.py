"""Every card of the simulated network's catalogue, through the HTTP API to each of its outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import httpx2
import msgspec
import pytest
from e2e.conftest import RunningStack
from polling import eventually

from devstack.simulators.cards import CARDS, Behaviour, Card, TimeOut
from devstack.traffic.card_encryption import CardEncryption
from runtime.id_generator import new_id

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]
AMOUNT = 2500
CARD_SECONDS_MAX = 90.0
PLAIN = asdict(Behaviour(name=""))


class Shop:
    """A merchant at the API of a running stack."""

    def __init__(self, stack: RunningStack) -> None:
        self.network_url = stack.env["NETWORK_URL"]
        self.api = stack.http_client()
        registered = self.api.post(
            "/v1/merchants",
            json={"name": "All cards"},
            headers={"Idempotency-Key": new_id("shop-")},
        ).json()
        self.api.headers["Authorization"] = f"Bearer {registered['api_keys']['test']}"
        eventually(lambda: self.api.get("/v1/webhook_endpoints").status_code == 200, "the key")
        self.cards = CardEncryption(self.api.get("/.well-known/jwks.json").json())

    def pay(self, card: str) -> dict[str, Any]:
        body = {"amount": AMOUNT, "currency": "EUR", "card": card}
        return self.post("/v1/payments", body)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        key = {"Idempotency-Key": new_id("card-")}
        answer = self.api.post(path, json=body, headers=key)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def get(self, payment_id: str) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/payments/{payment_id}").json())

    def reaches(self, payment_id: str, **wanted: Any) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            payment = self.get(payment_id)
            return payment if wanted.items() <= payment.items() else None

        return eventually(there, f"{wanted} of {self.get(payment_id)}", CARD_SECONDS_MAX)

    def effects(self, payment_id: str) -> Counter[tuple[str, str]]:
        """(operation, outcome) of what took effect at the network."""
        text = httpx2.get(f"{self.network_url}/log", timeout=30).text
        lines = (msgspec.json.decode(line) for line in text.splitlines())
        return Counter(
            (line["operation"], line["outcome"])
            for line in lines
            if line["idempotency_key"].startswith(payment_id)
        )


@pytest.fixture(scope="module")
def shop(secured_stack: RunningStack) -> Iterator[Shop]:
    made = Shop(secured_stack)
    yield made
    made.api.close()


def special(behaviour: Behaviour) -> dict[str, Any]:
    """In what a card differs from one that is approved."""
    fields = asdict(behaviour)
    return {
        name: value for name, value in fields.items() if name != "name" and value != PLAIN[name]
    }


CHARGED_ONCE = {("authorize", "approved"): 1, ("capture", "approved"): 1}


def is_approved(shop: Shop, card: Card) -> None:
    payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
    shop.reaches(payment_id, status="captured", amount_captured=AMOUNT)
    shop.post(f"/v1/payments/{payment_id}/refunds", {"amount": 500})
    shop.reaches(payment_id, amount_refunded=500)
    assert shop.effects(payment_id) == {**CHARGED_ONCE, ("refund", "approved"): 1}


def is_declined(shop: Shop, card: Card) -> None:
    payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
    shop.reaches(payment_id, status="declined", decline_code=card.behaviour.authorize_decline)
    assert shop.effects(payment_id) == {("authorize", "declined"): 1}


def asks_the_customer(shop: Shop, card: Card) -> None:
    """Yes, no, and nobody asked the API to look."""
    outcomes = {"success": ("captured", None), "failure": ("declined", "authentication_failed")}
    for result, (status, code) in outcomes.items():
        payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
        asked = shop.reaches(payment_id, status="requires_action")
        answer = httpx2.post(asked["action_url"], json={"result": result}, timeout=30)
        assert answer.status_code == 200
        shop.post(f"/v1/payments/{payment_id}/complete_action", {})
        shop.reaches(payment_id, status=status, decline_code=code)


def times_out_and_charges_once(shop: Shop, card: Card) -> None:
    payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
    shop.reaches(payment_id, status="captured", amount_captured=AMOUNT)
    assert shop.effects(payment_id) == CHARGED_ONCE


def is_not_captured(shop: Shop, card: Card) -> None:
    payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
    eventually(lambda: ("capture", "declined") in shop.effects(payment_id), "the capture")
    shop.reaches(payment_id, status="authorized", amount_captured=0)
    shop.post(f"/v1/payments/{payment_id}/void", {})
    shop.reaches(payment_id, status="voided")


def is_not_refunded(shop: Shop, card: Card) -> None:
    payment_id = shop.pay(shop.cards.card(card.behaviour.name))["id"]
    before = shop.reaches(payment_id, status="captured")["sequence"]
    shop.post(f"/v1/payments/{payment_id}/refunds", {})
    after = shop.reaches(payment_id, sequence=before + 2)  # asked for, and refused
    assert (after["status"], after["amount_refunded"]) == ("captured", 0)
    assert shop.effects(payment_id)["refund", "declined"] == 1


LIVES: dict[str | None, Callable[[Shop, Card], None]] = {
    None: is_approved,
    "authorize_decline": is_declined,
    "needs_action": asks_the_customer,
    "authorize_time_out": times_out_and_charges_once,
    "capture_time_out": times_out_and_charges_once,
    "capture_decline": is_not_captured,
    "refund_decline": is_not_refunded,
}
"""What makes a card special -> what its life is to be."""


def test_every_way_to_be_special_has_a_life() -> None:
    """A card, or a field of Behaviour, that is added to the catalogue fails here until it has."""
    assert {name for name in PLAIN if name != "name"} == LIVES.keys() - {None}
    assert all(len(special(card.behaviour)) <= 1 for card in CARDS)
    assert {next(iter(special(card.behaviour)), None) for card in CARDS} == LIVES.keys()
    time_outs = {card.behaviour.authorize_time_out for card in CARDS}
    assert time_outs == set(TimeOut)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.behaviour.name)
def test_a_card_of_the_catalogue(shop: Shop, card: Card) -> None:
    LIVES[next(iter(special(card.behaviour)), None)](shop, card)


def test_a_number_outside_of_the_catalogue_and_no_card_at_all(shop: Shop) -> None:
    unknown = shop.pay(shop.cards.number("4999999999999996"))["id"]
    shop.reaches(unknown, status="declined", decline_code="generic_decline")
    nothing = shop.pay(
        "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
    )["id"]
    shop.reaches(nothing, status="declined", decline_code="card_not_readable")
