"""The transition table has a cell for everything, and every step keeps to its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.vocabulary import CommandKind, EventType, PaymentStatus, RejectionReason
from streams.domain.decide import HANDLERS
from streams.domain.transitions import FINAL, TABLE, Step, table_markdown

MANUAL = {"capture_method": "manual"}
ROADS: dict[str, Callable[[Any], Any]] = {
    PaymentStatus.NEW: lambda s: None,
    PaymentStatus.AUTHORIZING: lambda s: s.create(),
    PaymentStatus.REQUIRES_ACTION: lambda s: (s.create(), s.result("requires_action")),
    PaymentStatus.AUTHORIZED: lambda s: s.authorized(),
    PaymentStatus.CAPTURING: lambda s: s.authorized().tell("capture", amount_minor=400),
    PaymentStatus.PARTIALLY_CAPTURED: lambda s: (
        s.authorized().tell("capture", amount_minor=400),
        s.result("approved", "capture"),
    ),
    PaymentStatus.CAPTURED: lambda s: s.captured(),
    PaymentStatus.SETTLED: lambda s: s.captured().tell("settle"),
    PaymentStatus.VOIDING: lambda s: s.authorized().tell("void"),
    PaymentStatus.VOIDED: lambda s: (s.authorized().tell("void"), s.result("approved", "void")),
    PaymentStatus.EXPIRED: lambda s: s.authorized().deadline(),
    PaymentStatus.DECLINED: lambda s: (s.create(), s.result("declined")),
    PaymentStatus.FAILED: lambda s: (s.create(), s.result("failed")),
    PaymentStatus.UNKNOWN: lambda s: (s.create(), s.result("unknown")),
}
"""How a payment comes into each main state."""
PAIRS = [(status, kind) for status in PaymentStatus for kind in CommandKind]


def test_there_is_a_cell_for_every_pair_and_no_other() -> None:
    assert set(TABLE) == set(PAIRS)


def test_every_step_has_a_handler_and_every_handler_a_step() -> None:
    assert {cell.handler for cell in TABLE.values() if isinstance(cell, Step)} == set(HANDLERS)


@pytest.mark.parametrize("status", PaymentStatus)
def test_the_road_leads_to_the_state(story: Any, status: PaymentStatus) -> None:
    ROADS[status](story)
    assert (story.state.status if story.state else "new") == status


@pytest.mark.parametrize(("status", "kind"), PAIRS)
def test_every_pair_ends_in_what_its_cell_says(
    story: Any, status: PaymentStatus, kind: CommandKind
) -> None:
    ROADS[status](story)
    before = story.state
    command = story.command(kind, amount_minor=100, currency="EUR")
    events = story.send(command).events
    cell = TABLE[status, kind]
    assert events, "a command that is not a repeat has an outcome"
    if isinstance(cell, Step):
        allowed = {*cell.events, EventType.COMMAND_REJECTED}
        assert {event.type for event in events} <= allowed
    else:
        assert [event.type for event in events] == [EventType.COMMAND_REJECTED]
        assert events[0].reason == cell
    if events[0].type == EventType.COMMAND_REJECTED:
        assert events[0].status == status
        assert (events[0].captured_minor, events[0].authorized_minor) == (
            (before.captured_minor, before.authorized_minor) if before else (0, 0)
        )


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_final_state_takes_no_step_but_to_say_no(story: Any, status: PaymentStatus) -> None:
    ROADS[status](story)
    for kind in CommandKind:
        assert story.tell(kind, amount_minor=1) == [EventType.COMMAND_REJECTED]
    assert story.state.status == status
    assert story.state.captured_minor == 0


def test_an_unknown_kind_is_refused_by_name(story: Any) -> None:
    assert story.authorized().tell("levitate") == [EventType.COMMAND_REJECTED]
    assert story.reason == RejectionReason.UNKNOWN_KIND


def test_the_table_for_people_shows_every_state_and_command() -> None:
    page = table_markdown()
    assert all(f"`{status}`" in page for status in PaymentStatus)
    assert all(f"| `{kind}` |" in page for kind in CommandKind)
    assert "**claim**" in page
