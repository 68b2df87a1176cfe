"""The transition table has a cell for everything, and every step keeps to its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.enums import CommandKind, EventType, PaymentStatus, RejectionReason
from schemas.payment_commands import FACT_COMMAND_KINDS
from streams.domain.handlers import HANDLERS
from streams.domain.transitions import TABLE, TERMINAL_STATUSES, Step, cell_of, table_markdown

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


DISPUTES = {CommandKind.OPEN_DISPUTE, CommandKind.WIN_DISPUTE, CommandKind.LOSE_DISPUTE}
WRITTEN_BY_HAND = """
                 new aut req aud cpg par cap set vdg voi exp dec fai unk
create            *   *   *   *   *   *   *   *   *   *   *   *   *   *
complete_action   0   ?   *   -   ?   -   -   -   ?   -   -   -   -   ?
capture           0   ?   -   *   ?   *   -   -   ?   -   -   -   -   ?
void              0   ?   *   *   ?   *   -   -   ?   -   -   -   -   ?
refund            0   ?   -   -   ?   *   *   *   ?   -   -   -   -   ?
network_result    0   *   *   *   *   *   *   *   *   *   *   *   *   *
resolve_unknown   0   *   *   *   *   *   *   *   *   *   *   *   *   *
capture_due       0   ?   -   *   ?   -   -   -   ?   -   -   -   -   ?
action_timed_out  0   ?   *   -   ?   -   -   -   ?   -   -   -   -   ?
expire            0   ?   -   *   ?   *   -   -   ?   -   -   -   -   ?
settlement_due    0   ?   -   -   ?   -   *   -   ?   -   -   -   -   ?
settle            0   ?   -   -   ?   -   *   -   ?   -   -   -   -   ?
open_dispute      0   *   *   *   *   *   *   *   *   *   *   *   *   *
win_dispute       0   *   *   *   *   *   *   *   *   *   *   *   *   *
lose_dispute      0   *   *   *   *   *   *   *   *   *   *   *   *   *
"""
"""A step (*), or why not: no such payment (0), its outcome is pending (?), wrong state (-)."""
REFUSALS = {
    "0": RejectionReason.NO_SUCH_PAYMENT,
    "?": RejectionReason.OUTCOME_PENDING,
    "-": RejectionReason.WRONG_STATE,
}


def test_there_is_a_cell_for_every_pair_and_no_other() -> None:
    assert set(TABLE) == set(PAIRS)


def test_the_table_is_what_people_wrote_by_hand() -> None:
    _, *rows = WRITTEN_BY_HAND.strip().splitlines()
    assert [row.split()[0] for row in rows] == list(CommandKind)
    for kind, row in zip(CommandKind, rows, strict=True):
        for status, sign in zip(PaymentStatus, row.split()[1:], strict=True):
            cell = cell_of(status, kind)
            assert TABLE[status, kind] == cell
            assert isinstance(cell, Step) if sign == "*" else cell == REFUSALS[sign]


def test_a_step_has_the_name_of_its_command_but_for_create() -> None:
    assert cell_of(PaymentStatus.NEW, CommandKind.CREATE).name == "create"
    steps = {(kind, cell.name) for (_, kind), cell in TABLE.items() if isinstance(cell, Step)}
    assert steps == {(kind, kind) for kind in CommandKind if kind != CommandKind.CREATE} | {
        ("create", "create"),
        ("create", "already_created"),
    }


def test_every_step_has_a_handler_and_every_handler_a_step() -> None:
    assert {cell.name for cell in TABLE.values() if isinstance(cell, Step)} == set(HANDLERS)


@pytest.mark.parametrize("status", PaymentStatus)
def test_the_commands_lead_to_the_state(story: Any, status: PaymentStatus) -> None:
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


@pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
def test_a_final_state_refuses_every_request(story: Any, status: PaymentStatus) -> None:
    ROADS[status](story)
    for kind in set(CommandKind) - DISPUTES:
        assert story.tell(kind, amount_minor=1) == [EventType.COMMAND_REJECTED]
    assert story.state.status == status
    assert story.state.captured_minor == 0


@pytest.mark.parametrize("status", sorted(set(PaymentStatus) - {PaymentStatus.NEW}))
@pytest.mark.parametrize("end", ["win_dispute", "lose_dispute"])
def test_a_dispute_is_recorded_in_every_state_and_leaves_it(
    story: Any, status: PaymentStatus, end: str
) -> None:
    """The scheme has taken the money, wherever we stand."""
    ROADS[status](story)
    opened = story.tell("open_dispute", dispute_id="dsp_1", amount_minor=1000)
    assert opened == [EventType.DISPUTE_OPENED]
    assert len(story.tell(end, dispute_id="dsp_1")) == 1
    assert (story.status, story.events[-1].amount_minor) == (status, 1000)


def test_an_unknown_kind_is_refused_by_name(story: Any) -> None:
    assert story.authorized().tell("levitate") == [EventType.COMMAND_REJECTED]
    assert story.reason == RejectionReason.UNKNOWN_KIND


def test_the_table_for_people_shows_every_state_and_command() -> None:
    head, rule, *rows = table_markdown().split("\n\n")[0].splitlines()
    assert head == "| command | " + " | ".join(f"`{s}`" for s in PaymentStatus) + " |"
    assert rule == "|" + 15 * "---|"
    names = [f"`{k}` (fact)" if k in FACT_COMMAND_KINDS else f"`{k}`" for k in CommandKind]
    assert [row.split(" | ")[0] for row in rows] == [f"| {name}" for name in names]
    assert rows[3] == (
        "| `void` | no_such_payment | outcome_pending | **void** | **void** | outcome_pending"
        " | **void** | wrong_state | wrong_state | outcome_pending | wrong_state | wrong_state"
        " | wrong_state | wrong_state | outcome_pending |"
    )


def test_the_table_for_people_says_what_a_step_may_record() -> None:
    page = table_markdown()
    head, rule, *legend = page.split("\n\n")[1].splitlines()
    assert page.endswith(" |\n")
    assert (head, rule) == ("| step | events |", "|---|---|")
    assert len(legend) == len(HANDLERS)
    assert "| **already_created** | none: always rejected |" in legend
    assert "| **expire** | `payment.expired` |" in legend
    results = next(line for line in legend if line.startswith("| **network_result** |"))
    assert "| `payment.rerouted`, `payment.authorized`, " in results
