"""What an event earns, and which settings refuse to be nonsense."""

from typing import Any

import pytest

from runtime.settings import ConfigurationError, load
from schemas.enums import EventType
from schemas.records import PaymentEvent
from sinks.payouts.rules import item_of
from sinks.payouts.settings import PayoutSettings
from sinks.webhooks.settings import WebhookSettings


def event(kind: str, amount_minor: int, fee_minor: int = 0) -> PaymentEvent:
    fields: dict[str, Any] = {
        "event_id": "pay_1-2",
        "payment_id": "pay_1",
        "merchant_id": "mer_1",
        "mode": "live",
        "sequence": 2,
        "type": kind,
        "status": "captured",
        "command_id": "cmd_1",
        "command_kind": "network_result",
        "fingerprint": "f",
        "occurred_at_ms": 7,
        "source": "network",
        "currency": "JPY",
        "amount_minor": amount_minor,
        "fee_minor": fee_minor,
        "requested_minor": 1000,
        "authorized_minor": 0,
        "captured_minor": 1000,
        "refunded_minor": 0,
        "fees_minor": 0,
        "capture_method": "automatic",
        "fee_basis_points": 0,
        "fee_fixed_minor": 0,
    }
    return PaymentEvent(**fields)


@pytest.mark.parametrize(
    ("kind", "fee_minor", "expected"),
    [
        (EventType.CAPTURED, 30, 970),
        (EventType.REFUND_SUCCEEDED, 0, -1000),
        (EventType.DISPUTE_OPENED, 15, -1015),
        (EventType.DISPUTE_WON, 0, 1000),
    ],
)
def test_what_moves_the_merchants_balance(kind: str, fee_minor: int, expected: int) -> None:
    item = item_of(event(kind, 1000, fee_minor))
    assert item is not None
    assert (item.amount_minor, item.item_id, item.currency) == (expected, "pay_1-2", "JPY")
    assert item.mode == "live"


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in EventType
        if kind
        not in (
            EventType.CAPTURED,
            EventType.REFUND_SUCCEEDED,
            EventType.DISPUTE_OPENED,
            EventType.DISPUTE_WON,
        )
    ],
)
def test_no_other_event_moves_it(kind: str) -> None:
    assert item_of(event(kind, 1000)) is None


def test_a_capture_that_the_fee_eats_up_makes_no_item() -> None:
    assert item_of(event(EventType.CAPTURED, 30, 30)) is None


def test_test_payments_are_paid_only_by_setting() -> None:
    assert PayoutSettings().policy().pays("live")
    assert not PayoutSettings().policy().pays("test")
    chosen = load(PayoutSettings, "payouts", {"PAYSTREAM_PAYOUTS_PAY_TEST_MODE": "true"})
    assert chosen.policy().pays("test")


@pytest.mark.parametrize(
    ("cls", "section", "variable", "value"),
    [
        (PayoutSettings, "payouts", "PAYSTREAM_PAYOUTS_CUTOFF_MS_OF_DAY", "86400000"),
        (PayoutSettings, "payouts", "PAYSTREAM_PAYOUTS_AMOUNT_MINOR_MIN", "0"),
        (WebhookSettings, "webhooks", "PAYSTREAM_WEBHOOKS_SCHEDULE_FACTOR", "0"),
        (WebhookSettings, "webhooks", "PAYSTREAM_WEBHOOKS_IN_FLIGHT_MAX", "many"),
    ],
)
def test_nonsense_is_refused_with_the_name_of_the_section(
    cls: Any, section: str, variable: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=section):
        load(cls, section, {variable: value})
