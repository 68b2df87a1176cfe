"""The plan is a function of its seed, and every promise of the shop's mix holds in it."""

from __future__ import annotations

from collections import Counter

import pytest

from devstack.simulators.cards import BY_NAME
from devstack.traffic.plan import merchant_plans, plan
from devstack.traffic.scenarios import SCENARIOS
from schemas.pan import document_has_card_number


def test_the_same_seed_gives_the_same_payments() -> None:
    assert plan(7, 300, 5) == plan(7, 300, 5)
    assert plan(7, 300, 5) != plan(8, 300, 5)


@pytest.mark.parametrize("seed", range(5))
def test_each_scenario_occurs_once_there_is_room(seed: int) -> None:
    names = {intent.scenario for intent in plan(seed, len(SCENARIOS), 3)}
    assert names == {scenario.name for scenario in SCENARIOS}


def test_a_plan_may_be_short() -> None:
    assert [len(plan(1, payments, 1)) for payments in range(4)] == [0, 1, 2, 3]


def test_one_merchant_is_hot_and_all_currencies_occur() -> None:
    intents = plan(1, 3000, 5)
    merchants = Counter(intent.merchant for intent in intents)
    assert 0.36 < merchants[0] / 3000 < 0.44
    assert set(merchants) == set(range(5))
    assert {intent.currency for intent in intents} == {"EUR", "USD", "JPY", "KWD"}


def test_keys_are_unique_and_cards_are_scripted() -> None:
    intents = plan(20261121123456, 2000, 5)
    assert len({intent.idempotency_key for intent in intents}) == 2000
    assert {intent.card for intent in intents} <= set(BY_NAME)


@pytest.mark.parametrize("seed", [1, 20261121, 2**64 - 1])
def test_nothing_looks_like_a_card_number(seed: int) -> None:
    intents = plan(seed, 3000, 5)
    texts = [text for i in intents for text in (i.idempotency_key, i.reference, i.amount_minor)]
    assert not document_has_card_number(texts)
    assert not document_has_card_number([vars(merchant) for merchant in merchant_plans(100)])


def test_captures_and_refunds_fit_unless_they_are_meant_not_to() -> None:
    for intent in plan(3, 5000, 4):
        for kind in ("capture", "refund"):
            steps = [step for step in intent.steps if step.kind == kind]
            total = sum(step.amount_minor or 0 for step in steps)
            meant = any(step.is_refused for step in steps)
            assert (total > intent.amount_minor) == meant
            assert all(step.amount_minor is None or step.amount_minor > 0 for step in steps)


def test_manual_steps_belong_to_manual_captures() -> None:
    for intent in plan(4, 3000, 4):
        kinds = {step.kind for step in intent.steps}
        assert intent.capture_method == "manual" or not kinds & {"capture", "void"}
        assert intent.card == "three_d_secure" or "answer" not in kinds


def test_the_shops_have_one_failing_endpoint_and_scripted_accounts() -> None:
    shops = merchant_plans(6)
    assert [shop.endpoint.split("-")[0] for shop in shops].count("fail3") == 1
    assert {shop.bank_account[:10] for shop in shops} >= {"DE00ACCEPT", "DE00REJECT"}
    assert sum(shop.share for shop in shops) == pytest.approx(1)
    assert len({shop.endpoint for shop in shops}) == 6


@pytest.mark.parametrize("merchants", [0, 101])
def test_the_number_of_merchants_is_bounded(merchants: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        merchant_plans(merchants)
