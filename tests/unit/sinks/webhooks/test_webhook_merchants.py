"""Waiting for registrations that events have overtaken."""

import pytest

from engine import Retry
from schemas.records import Merchant
from sinks.webhooks.merchants import MerchantLookup

MERCHANT = Merchant(
    merchant_id="mer_1",
    version=1,
    name="Shop",
    status="active",
    registered_at_ms=1,
    updated_at_ms=1,
    payout_schedule="daily",
    fee_basis_points=0,
    fee_fixed_minor=0,
)


class Registry:
    """Merchants in a dict."""

    def __init__(self, ready: bool = True) -> None:
        self.ready = ready
        self.merchants = {"mer_1": MERCHANT}

    def get(self, merchant_id: str) -> Merchant | None:
        return self.merchants.get(merchant_id)


def test_nothing_is_decided_before_all_merchants_are_read() -> None:
    with pytest.raises(Retry):
        MerchantLookup(Registry(ready=False), 0, lambda: 0).merchants(["mer_1"])


def test_a_missing_merchant_is_waited_for_once() -> None:
    now = [0]
    lookup = MerchantLookup(Registry(), 10, lambda: now[0])
    for now_ms in (0, 9_999):
        now[0] = now_ms
        with pytest.raises(Retry):
            lookup.merchants(["mer_1", "mer_2"])
    now[0] = 10_000
    assert lookup.merchants(["mer_1", "mer_2"]) == {"mer_1": MERCHANT, "mer_2": None}
    assert lookup.merchants(["mer_2"]) == {"mer_2": None}


def test_several_missing_merchants_are_waited_for_at_the_same_time() -> None:
    now = [0]
    lookup = MerchantLookup(Registry(), 10, lambda: now[0])
    with pytest.raises(Retry):
        lookup.merchants(["mer_2", "mer_3"])
    now[0] = 10_000
    assert lookup.merchants(["mer_2", "mer_3"]) == {"mer_2": None, "mer_3": None}


def test_a_merchant_that_arrives_is_found() -> None:
    registry = Registry()
    lookup = MerchantLookup(registry, 10, lambda: 0)
    with pytest.raises(Retry):
        lookup.merchants(["mer_2"])
    registry.merchants["mer_2"] = MERCHANT
    assert lookup.merchants(["mer_2"]) == {"mer_2": MERCHANT}
