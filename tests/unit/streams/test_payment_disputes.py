"""Disputes live beside the main state: each opens once, holds its money, and ends once."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import ids
from schemas.enums import EventType as E
from schemas.enums import RejectionReason as R
from schemas.enums import Source
from streams.domain.evolve import COMMANDS_REMEMBERED_MAX


def test_c5_the_same_dispute_notification_twice_at_once_opens_one_dispute(story: Any) -> None:
    """Two copies under one command id, then one under another: one dispute, no crash."""
    story.captured()
    notification = story.command(
        "open_dispute", name="n1", dispute_id="dsp_1", amount_minor=300, source=Source.NETWORK
    )
    assert [event.type for event in story.send(notification).events] == [E.DISPUTE_OPENED]
    assert story.send(notification).events == (), "the copy"
    assert story.tell("open_dispute", name="n2", dispute_id="dsp_1", amount_minor=300) == [
        E.COMMAND_REJECTED
    ]
    assert story.reason == R.ALREADY_EXISTS
    assert [(d.dispute_id, d.amount_minor) for d in story.state.disputes] == [("dsp_1", 300)]
    assert story.state.refundable_minor == 700


@pytest.mark.parametrize(("end", "told"), [("win", E.DISPUTE_WON), ("lose", E.DISPUTE_LOST)])
def test_c5_the_end_of_a_dispute_repeated_ends_it_once(story: Any, end: str, told: str) -> None:
    story.captured().tell("open_dispute", dispute_id="dsp_1", amount_minor=300)
    assert story.tell(f"{end}_dispute", dispute_id="dsp_1") == [told]
    state = story.state
    for again in ("win", "lose"):
        assert story.tell(f"{again}_dispute", dispute_id="dsp_1") == [E.COMMAND_REJECTED]
        assert story.reason == R.NO_SUCH_DISPUTE
    assert story.state.disputes == state.disputes


def test_a_dispute_that_is_closed_does_not_open_again(story: Any) -> None:
    story.captured().tell("open_dispute", dispute_id="dsp_1", amount_minor=300)
    story.tell("win_dispute", dispute_id="dsp_1")
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=300)
    assert story.reason == R.ALREADY_EXISTS


def test_two_disputes_are_distinguished(story: Any) -> None:
    story.captured()
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=300)
    story.tell("open_dispute", dispute_id="dsp_2", amount_minor=200)
    assert story.tell("lose_dispute", dispute_id="dsp_2") == [E.DISPUTE_LOST]
    event = story.events[-1]
    assert (event.dispute_id, event.amount_minor, event.status) == ("dsp_2", 200, "captured")
    assert [(d.dispute_id, d.status) for d in story.state.disputes] == [
        ("dsp_1", "open"),
        ("dsp_2", "lost"),
    ]
    assert story.state.refundable_minor == 500
    assert story.tell("win_dispute", dispute_id="dsp_1") == [E.DISPUTE_WON]
    assert story.events[-1].amount_minor == 300
    assert story.state.refundable_minor == 800


def test_a_dispute_without_an_id_gets_one_from_its_command(story: Any) -> None:
    story.captured().tell("open_dispute")
    opened = story.events[-1]
    assert opened.dispute_id == ids.derived_id("dsp_", opened.command_id)
    assert (opened.amount_minor, opened.status) == (1000, "captured")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount_minor": 0}, R.AMOUNT_INVALID),
        ({"amount_minor": -1}, R.AMOUNT_INVALID),
        ({"amount_minor": 1, "currency": "USD"}, R.CURRENCY_INVALID),
    ],
)
def test_disputes_that_are_refused(story: Any, fields: dict[str, Any], reason: str) -> None:
    story.captured()
    assert story.tell("open_dispute", **fields) == [E.COMMAND_REJECTED]
    assert (story.reason, story.state.disputes) == (reason, ())


def test_a_dispute_above_what_was_captured_is_recorded_at_the_network_s_amount(story: Any) -> None:
    """The exchange rate moved: the network has taken the larger amount."""
    story.captured()
    assert story.tell("open_dispute", dispute_id="dsp_1", amount_minor=1010) == [E.DISPUTE_OPENED]
    assert (story.events[-1].amount_minor, story.state.refundable_minor) == (1010, 0)


def test_a_dispute_beside_a_refund_in_flight_is_recorded(story: Any) -> None:
    story.captured().tell("refund", amount_minor=1000)
    assert story.tell("open_dispute", dispute_id="dsp_1", amount_minor=1000) == [E.DISPUTE_OPENED]
    assert story.result("failed", "refund") == [E.REFUND_FAILED]
    assert [(d.dispute_id, d.amount_minor, d.status) for d in story.state.disputes] == [
        ("dsp_1", 1000, "open")
    ]
    assert story.state.refundable_minor == 0


def test_without_an_amount_what_is_left_is_disputed_and_then_nothing(story: Any) -> None:
    story.captured()
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=999)
    assert story.tell("open_dispute", dispute_id="dsp_2") == [E.DISPUTE_OPENED]
    assert story.events[-1].amount_minor == 1
    assert story.tell("open_dispute", dispute_id="dsp_3") == [E.COMMAND_REJECTED]
    assert story.reason == R.AMOUNT_INVALID


@pytest.mark.parametrize(("end", "last"), [("win", E.DISPUTE_WON), ("lose", E.DISPUTE_LOST)])
def test_an_end_that_overtakes_its_beginning_opens_the_dispute_first(
    story: Any, end: str, last: str
) -> None:
    story.captured()
    types = story.tell(f"{end}_dispute", dispute_id="dsp_1", amount_minor=300)
    assert types == [E.DISPUTE_OPENED, last]
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=300)
    assert story.reason == R.ALREADY_EXISTS


def test_a_fact_is_recorded_beyond_the_limit_of_commands(story: Any) -> None:
    story.captured()
    for number in range(COMMANDS_REMEMBERED_MAX):
        story.tell("void", name=str(number))
    assert story.reason == R.TOO_MANY_COMMANDS
    assert story.tell("open_dispute", dispute_id="dsp_1", amount_minor=1) == [E.DISPUTE_OPENED]
    assert story.tell("settle") == [E.SETTLED]


def test_a_dispute_ends_while_another_capture_is_open(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture")
    story.tell("open_dispute", dispute_id="dsp_1")
    story.tell("capture", amount_minor=100)
    assert story.tell("win_dispute", dispute_id="dsp_1") == [E.DISPUTE_WON]
    assert story.status == "capturing"
