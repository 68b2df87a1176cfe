"""What customers and shops do, with weights: the table that the plan draws from.

A scenario turns an amount (minor units, at least 4) and a source of chance into the fields of an
`Intent` that differ from a plain sale. Cards are names of `devstack.simulators.cards`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from devstack.traffic.plan_types import Step

Fields = dict[str, Any]
Make = Callable[[int, random.Random], Fields]


@dataclass(frozen=True)
class Scenario:
    """A row of the table; weights are relative."""

    name: str
    weight: float
    make: Make


def sale_with(card: str) -> Make:
    """A sale with a scripted card."""
    return lambda amount, chance: {"card": card}


def three_d_secure(result: Literal["success", "failure"]) -> Make:
    """The customer is asked and answers."""

    def make(amount: int, chance: random.Random) -> Fields:
        step = Step(kind="answer", result=result, after_seconds=_pause(chance))
        return {"card": "three_d_secure", "steps": (step,)}

    return make


def late_capture(amount: int, chance: random.Random) -> Fields:
    """The shop captures all of it when the parcel leaves."""
    return {"capture_method": "manual", "steps": (Step(kind="capture", after_seconds=1.0),)}


def partial_capture(amount: int, chance: random.Random) -> Fields:
    """A part is not on stock: the rest of the authorization is released."""
    step = Step(kind="capture", amount_minor=_part(amount, chance), final=True)
    return {"capture_method": "manual", "steps": (step,)}


def several_captures(amount: int, chance: random.Random) -> Fields:
    """Two parcels, two captures; the second takes what is left."""
    first = Step(kind="capture", amount_minor=_part(amount, chance))
    second = Step(kind="capture", final=True, after_seconds=_pause(chance))
    return {"capture_method": "manual", "steps": (first, second)}


def background_capture(amount: int, chance: random.Random) -> Fields:
    """Captured by a deadline of the pipeline."""
    return {"capture_delay_seconds": chance.randint(1, 3)}


def void(amount: int, chance: random.Random) -> Fields:
    """The order is cancelled before it is captured."""
    return {"capture_method": "manual", "steps": (Step(kind="void"),)}


def not_captured(amount: int, chance: random.Random) -> Fields:
    """The authorization stays open."""
    return {"capture_method": "manual"}


def full_refund(amount: int, chance: random.Random) -> Fields:
    """Everything is sent back."""
    return {"steps": (Step(kind="refund", after_seconds=_pause(chance)),)}


def partial_refund(amount: int, chance: random.Random) -> Fields:
    """One article is sent back."""
    return {"steps": (Step(kind="refund", amount_minor=_part(amount, chance)),)}


def several_refunds(amount: int, chance: random.Random) -> Fields:
    """Two articles, one after the other."""
    part = max(1, amount // 4)
    steps = (Step(kind="refund", amount_minor=part), Step(kind="refund", amount_minor=part))
    return {"steps": steps}


def refund_too_large(amount: int, chance: random.Random) -> Fields:
    """More than was paid: the pipeline refuses."""
    return {"steps": (Step(kind="refund", amount_minor=amount + 1, is_refused=True),)}


def declined_refund(amount: int, chance: random.Random) -> Fields:
    """The issuer does not take the money back."""
    return {"card": "refund_declined", "steps": (Step(kind="refund"),)}


def sent_at_the_same_time(amount: int, chance: random.Random) -> Fields:
    """An impatient client: copies of one request race each other."""
    return {"copies": chance.randint(2, 4)}


def repeated_later(amount: int, chance: random.Random) -> Fields:
    """A client that lost the answer asks again."""
    return {"repeats_later": True}


def repeated_refund(amount: int, chance: random.Random) -> Fields:
    """Copies of one refund race each other."""
    return {"steps": (Step(kind="refund", copies=2),)}


def other_body(amount: int, chance: random.Random) -> Fields:
    """A used key with another amount: refused."""
    return {"sends_other_body": True}


def _part(amount: int, chance: random.Random) -> int:
    return max(1, int(amount * chance.uniform(0.2, 0.8)))


def _pause(chance: random.Random) -> float:
    return round(chance.uniform(0.1, 1.5), 2)


SCENARIOS = (
    Scenario("sale", 47, sale_with("approve")),
    Scenario("declined_generic", 3, sale_with("decline_generic")),
    Scenario("declined_funds", 4, sale_with("decline_funds")),
    Scenario("declined_expired", 2, sale_with("decline_expired")),
    Scenario("three_d_secure_success", 5, three_d_secure("success")),
    Scenario("three_d_secure_failure", 1.5, three_d_secure("failure")),
    Scenario("late_capture", 5, late_capture),
    Scenario("partial_capture", 3, partial_capture),
    Scenario("several_captures", 2, several_captures),
    Scenario("background_capture", 5, background_capture),
    Scenario("void", 3, void),
    Scenario("not_captured", 1, not_captured),
    Scenario("full_refund", 3, full_refund),
    Scenario("partial_refund", 3, partial_refund),
    Scenario("several_refunds", 1, several_refunds),
    Scenario("refund_too_large", 0.5, refund_too_large),
    Scenario("refund_declined", 0.5, declined_refund),
    Scenario("capture_declined", 0.5, sale_with("capture_declined")),
    Scenario("sent_at_the_same_time", 4, sent_at_the_same_time),
    Scenario("repeated_later", 3, repeated_later),
    Scenario("repeated_refund", 1, repeated_refund),
    Scenario("other_body", 1, other_body),
    Scenario("time_out_with_effect", 0.4, sale_with("time_out_with_effect")),
    Scenario("time_out_without_effect", 0.4, sale_with("time_out_without_effect")),
    Scenario("capture_time_out", 0.2, sale_with("capture_time_out_with_effect")),
)
