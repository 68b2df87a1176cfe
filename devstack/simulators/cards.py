"""The scripted cards of the simulated card network: number to behaviour.

Numbers pass the Luhn check and belong to nobody. Behaviour, not the number, is what the network
keeps: a card number never reaches its log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.enums import DeclineCode


class TimeOut(StrEnum):
    """What the first request of a key finds; later requests and status queries answer at once."""

    NONE = "none"
    WITH_EFFECT = "with_effect"
    WITHOUT_EFFECT = "without_effect"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the network treats one card; the defaults approve everything."""

    name: str
    authorize_decline: str | None = None
    capture_decline: str | None = None
    refund_decline: str | None = None
    needs_action: bool = False
    authorize_time_out: TimeOut = TimeOut.NONE
    capture_time_out: TimeOut = TimeOut.NONE


@dataclass(frozen=True)
class Card:
    """A row of the table."""

    number: str
    description: str
    behaviour: Behaviour


CARDS = (
    Card("4242424242424242", "approved", Behaviour(name="approve")),
    Card(
        "4000000000000002",
        "declined without a reason",
        Behaviour(name="decline_generic", authorize_decline=DeclineCode.GENERIC),
    ),
    Card(
        "4000000000009995",
        "declined: insufficient funds",
        Behaviour(name="decline_funds", authorize_decline=DeclineCode.INSUFFICIENT_FUNDS),
    ),
    Card(
        "4000000000000069",
        "declined: expired card",
        Behaviour(name="decline_expired", authorize_decline=DeclineCode.EXPIRED_CARD),
    ),
    Card(
        "4000000000003220",
        "needs 3-D Secure: the customer answers at the action url",
        Behaviour(name="three_d_secure", needs_action=True),
    ),
    Card(
        "4000000000000119",
        "authorization times out, and took effect: retry or status query answer approved",
        Behaviour(name="time_out_with_effect", authorize_time_out=TimeOut.WITH_EFFECT),
    ),
    Card(
        "4000000000000127",
        "authorization times out without effect: status is 404, the retry is approved",
        Behaviour(name="time_out_without_effect", authorize_time_out=TimeOut.WITHOUT_EFFECT),
    ),
    Card(
        "4000000000000259",
        "capture times out, and took effect: the customer is charged, nobody received the result",
        Behaviour(name="capture_time_out_with_effect", capture_time_out=TimeOut.WITH_EFFECT),
    ),
    Card(
        "4000000000000341",
        "authorized, each capture is declined",
        Behaviour(name="capture_declined", capture_decline=DeclineCode.GENERIC),
    ),
    Card(
        "4000000000005126",
        "authorized and captured, each refund is declined",
        Behaviour(name="refund_declined", refund_decline=DeclineCode.GENERIC),
    ),
)

BY_NUMBER = {card.number: card for card in CARDS}
BY_NAME = {card.behaviour.name: card for card in CARDS}
NUMBER_NOT_IN_TABLE = Behaviour(name="number_not_in_table", authorize_decline=DeclineCode.GENERIC)
NOT_READABLE = Behaviour(name="not_readable", authorize_decline=DeclineCode.CARD_NOT_READABLE)
BEHAVIOURS = {
    behaviour.name: behaviour
    for behaviour in (*(card.behaviour for card in CARDS), NUMBER_NOT_IN_TABLE, NOT_READABLE)
}


def behaviour_of(number: str) -> Behaviour:
    """Behaviour of a card number; a number outside of the table is declined."""
    card = BY_NUMBER.get(number)
    return card.behaviour if card else NUMBER_NOT_IN_TABLE
