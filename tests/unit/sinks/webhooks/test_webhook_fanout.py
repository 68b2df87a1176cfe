"""Which webhooks an event makes, and their bytes."""

import json

import msgspec

from schemas.records import Endpoint, Merchant, PaymentEvent
from sinks.webhooks.fanout import body, is_public, webhook_deliveries

EVENT = PaymentEvent(
    event_id="pay_1-3",
    payment_id="pay_1",
    merchant_id="mer_1",
    mode="live",
    sequence=3,
    type="payment.captured",
    status="captured",
    command_id="cmd_1",
    command_kind="network_result",
    fingerprint="secret-fingerprint",
    occurred_at_ms=1_700_000_000_123,
    source="network",
    currency="EUR",
    amount_minor=1000,
    fee_minor=30,
    requested_minor=1000,
    authorized_minor=0,
    captured_minor=1000,
    refunded_minor=0,
    fees_minor=30,
    capture_method="automatic",
    fee_basis_points=300,
    fee_fixed_minor=0,
    reference="order 7",
)


def merchant(*endpoints: Endpoint) -> Merchant:
    return Merchant(
        merchant_id="mer_1",
        version=1,
        name="Shop",
        status="active",
        registered_at_ms=1,
        updated_at_ms=1,
        payout_schedule="daily",
        fee_basis_points=300,
        fee_fixed_minor=0,
        endpoints=list(endpoints),
    )


def endpoint(name: str, enabled: bool = True) -> Endpoint:
    return Endpoint(
        endpoint_id=name, url="https://shop.example/hooks", encrypted_secrets=[], enabled=enabled
    )


def test_the_body_tells_what_happened_in_which_order_and_nothing_internal() -> None:
    told = json.loads(body(EVENT))
    assert told["type"] == "payment.captured"
    assert told["timestamp"] == "2023-11-14T22:13:20.123Z"
    assert (told["id"], told["sequence"], told["amount"], told["fee"]) == ("pay_1-3", 3, 1000, 30)
    assert told["data"]["amount_captured"] == 1000
    assert told["data"]["reference"] == "order 7"
    assert "secret-fingerprint" not in body(EVENT).decode()
    assert "cmd_1" not in body(EVENT).decode()


def test_the_same_event_gives_the_same_bytes() -> None:
    assert body(EVENT) == body(msgspec.structs.replace(EVENT))


def test_one_delivery_for_each_enabled_endpoint() -> None:
    made = list(
        webhook_deliveries(
            EVENT, merchant(endpoint("we_1"), endpoint("we_2", False), endpoint("we_3")), 5
        )
    )
    assert [d.delivery_id for d in made] == ["pay_1-3@we_1", "pay_1-3@we_3"]
    assert {d.body for d in made} == {body(EVENT)}
    assert {d.created_at_ms for d in made} == {5}


def test_no_endpoint_or_no_merchant_makes_none() -> None:
    assert list(webhook_deliveries(EVENT, merchant(), 5)) == []
    assert list(webhook_deliveries(EVENT, None, 5)) == []


def test_a_refused_command_is_no_change_of_the_payment() -> None:
    assert is_public(EVENT)
    assert not is_public(msgspec.structs.replace(EVENT, type="command.rejected"))


def test_an_endpoint_gets_events_of_its_mode_only() -> None:
    one = merchant(endpoint("we_1"))
    for mode, count in ((None, 1), (EVENT.mode, 1), ("another", 0)):
        shop = msgspec.structs.replace(
            one, endpoints=[msgspec.structs.replace(one.endpoints[0], mode=mode)]
        )
        assert len(list(webhook_deliveries(EVENT, shop, 5))) == count
