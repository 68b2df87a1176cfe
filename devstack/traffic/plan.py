"""The traffic of a day in some shops, drawn from a seed: the same seed gives the same payments.

Pure: no clock, no network. With at least as many payments as scenarios, each scenario occurs.
"""

from __future__ import annotations

import random

from devstack.simulators.bank_rules import (
    ACCEPTED_ACCOUNT,
    LOST_ANSWER_ACCOUNT,
    REJECTED_ACCOUNT,
)
from devstack.traffic.plan_types import Intent, MerchantPlan
from devstack.traffic.scenarios import SCENARIOS, Scenario
from schemas.money import exponent

HOT_MERCHANT_SHARE = 0.4
MERCHANTS_MAX = 100
CURRENCY_WEIGHTS = {"EUR": 52, "USD": 28, "JPY": 12, "KWD": 8}
UNITS_OF_A_EURO = {"EUR": 1.0, "USD": 1.1, "JPY": 165.0, "KWD": 0.34}
AMOUNT_MINOR_MIN = 4
SHOPS = ("Atlas Books", "Bela Coffee", "Corvo Bikes", "Dune Games", "Elm Garden", "Fjord Knits")


def merchant_plans(merchants: int) -> list[MerchantPlan]:
    """The shops, the hot one first; the second's webhook endpoint fails 3 times per webhook.

    The third's bank loses an answer, the fourth's rejects. `ValueError` outside of 1 to
    `MERCHANTS_MAX`.
    """
    if not 1 <= merchants <= MERCHANTS_MAX:
        raise ValueError(f"merchants must be 1 to {MERCHANTS_MAX}, not {merchants}")
    return [_merchant(number, merchants) for number in range(merchants)]


def plan(seed: int, payments: int, merchants: int) -> list[Intent]:
    """The payments in the order in which they are sent; `merchant` counts from 0, the hot one."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    shares = [merchant.share for merchant in merchant_plans(merchants)]
    scenarios = _scenarios(chance, payments)
    return [
        _intent(chance, seed, number, merchant, scenario)
        for number, (scenario, merchant) in enumerate(
            zip(scenarios, chance.choices(range(merchants), shares, k=payments), strict=True)
        )
    ]


def _merchant(number: int, merchants: int) -> MerchantPlan:
    accounts = {2: LOST_ANSWER_ACCOUNT, 3: REJECTED_ACCOUNT}
    name = SHOPS[number % len(SHOPS)]
    slug = f"{name.lower().replace(' ', '-')}-{number}"
    alone = merchants == 1
    return MerchantPlan(
        name=f"{name} {number}",
        endpoint=f"{'fail3' if number == 1 else 'ok'}-{slug}",
        bank_account=f"{accounts.get(number, ACCEPTED_ACCOUNT)}{number:04d}",
        share=_share(number, merchants) if not alone else 1.0,
        fee_basis_points=290 - 20 * (number % 5),
        fee_fixed_minor=30 if number % 2 == 0 else 0,
    )


def _share(number: int, merchants: int) -> float:
    return HOT_MERCHANT_SHARE if number == 0 else (1 - HOT_MERCHANT_SHARE) / (merchants - 1)


def _scenarios(chance: random.Random, payments: int) -> list[Scenario]:
    weights = [scenario.weight for scenario in SCENARIOS]
    drawn = list(SCENARIOS) if payments >= len(SCENARIOS) else []
    drawn += chance.choices(SCENARIOS, weights, k=payments - len(drawn))
    chance.shuffle(drawn)
    return drawn


def _intent(
    chance: random.Random, seed: int, number: int, merchant: int, scenario: Scenario
) -> Intent:
    currency = chance.choices(list(CURRENCY_WEIGHTS), list(CURRENCY_WEIGHTS.values()))[0]
    amount = _amount_minor(chance, currency)
    fields = {"card": "approve", **scenario.make(amount, chance)}
    return Intent(
        number=number,
        merchant=merchant,
        scenario=scenario.name,
        idempotency_key=f"order-s{seed:x}-n{number}",
        amount_minor=amount,
        currency=currency,
        reference=f"order {number} of seed {seed:x}",
        **fields,
    )


def _amount_minor(chance: random.Random, currency: str) -> int:
    """Log-normal around 25 euros, most between 4 and 150."""
    units = chance.lognormvariate(3.2, 0.9) * UNITS_OF_A_EURO[currency]
    return max(AMOUNT_MINOR_MIN, round(units * float(10 ** exponent(currency))))
