"""Registrations that events have overtaken, and merchants that nobody registered."""

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
    """Merchants in a dict; `arriving` are known after a refresh."""

    def __init__(self, *, ready: bool = True, answers: bool = True) -> None:
        self.ready = ready
        self.answers = answers
        self.merchants = {"mer_1": MERCHANT}
        self.arriving: dict[str, Merchant] = {}
        self.refreshes: list[float] = []

    def get(self, merchant_id: str) -> Merchant | None:
        return self.merchants.get(merchant_id)

    def refresh(self, timeout_seconds: float) -> bool:
        self.refreshes.append(timeout_seconds)
        self.merchants |= self.arriving
        return self.answers


async def test_nothing_is_decided_before_all_merchants_are_read() -> None:
    with pytest.raises(Retry):
        await MerchantLookup(Registry(ready=False), 5).merchants(["mer_1"])


async def test_known_merchants_need_no_refresh() -> None:
    registry = Registry()
    assert await MerchantLookup(registry, 5).merchants(["mer_1"]) == {"mer_1": MERCHANT}
    assert registry.refreshes == []


async def test_one_refresh_answers_for_all_made_up_merchants() -> None:
    registry = Registry()
    made_up = [f"mer_x{number}" for number in range(1000)]
    found = await MerchantLookup(registry, 5).merchants(["mer_1", *made_up])
    assert found == {"mer_1": MERCHANT} | dict.fromkeys(made_up)
    assert registry.refreshes == [5]


async def test_a_merchant_that_an_event_has_overtaken_is_found() -> None:
    registry = Registry()
    registry.arriving = {"mer_2": MERCHANT}
    assert await MerchantLookup(registry, 5).merchants(["mer_2"]) == {"mer_2": MERCHANT}


async def test_nobody_is_unknown_while_the_topic_cannot_be_read() -> None:
    with pytest.raises(Retry, match="cannot be read"):
        await MerchantLookup(Registry(answers=False), 5).merchants(["mer_2"])
