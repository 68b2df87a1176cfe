"""Laws of the three-way matching, over random worlds with injected differences."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from properties.reconciliation_model import (
    DAY_MS,
    FAR_MS,
    NOON_MS,
    Model,
    World,
    told_in_order,
    worlds,
)

from schemas.records import ReconciliationRequest

RUNS = settings(max_examples=150)


@st.composite
def tellings(draw: st.DrawFn) -> tuple[World, list[Any]]:
    """A world and its facts in some order: a payment's events stay in theirs."""
    world = draw(worlds())
    queues = [deque[Any](story) for story in world.events]
    queues += [deque([fact]) for fact in (*world.lines, *world.bookings)]
    order = []
    while queues:
        queue = draw(st.sampled_from(queues))
        order.append(queue.popleft())
        if not queue:
            queues.remove(queue)
    return world, order


@RUNS
@given(tellings(), st.randoms(use_true_random=False))
def test_any_order_of_the_three_sources_gives_the_same_result(
    telling: tuple[World, list[Any]], chance: Any
) -> None:
    world, order = telling
    model, expected = Model(), told_in_order(world)
    now_ms = NOON_MS
    for fact in order:
        model.take(fact)
        for _ in range(chance.randrange(6)):
            model.step()
        if chance.random() < 0.2:
            now_ms += chance.randrange(8 * DAY_MS)
            model.look(now_ms)
    model.drain()
    model.look(max(FAR_MS, now_ms))
    assert model.scopes_of_breaks() == expected.scopes_of_breaks()
    assert model.balances() == expected.balances()
    assert model.settled() == expected.settled()


@RUNS
@given(worlds())
def test_every_planted_difference_is_a_break_of_its_kind_and_nothing_else_is(world: World) -> None:
    found = Counter((level, kind) for level, kind, _ in told_in_order(world).breaks().values())
    assert found == world.injections


@RUNS
@given(worlds())
def test_reading_reports_and_statements_again_changes_nothing(world: World) -> None:
    model = told_in_order(world)
    before = dict(model.table), len(model.events), len(model.commands)
    for fact in [*world.lines, *world.bookings, *(e for story in world.events for e in story)]:
        model.take(fact)
    model.drain()
    assert (dict(model.table), len(model.events), len(model.commands)) == before


@RUNS
@given(worlds())
def test_the_ledger_holds_what_the_bank_got_and_what_was_reported(world: World) -> None:
    """With every report paid as it says, bank and receivable follow; the rest is in suspense."""
    wrong = {"amount", "currency", "duplicate", "missing_in_report"}
    if any(level == "report" and kind in wrong for level, kind in world.injections):
        return
    model = told_in_order(world)
    balances = model.balances()
    deposits: Counter[str] = Counter()
    for line in world.bookings:
        deposits[line.currency] += line.amount_minor
    for currency, amount_minor in deposits.items():
        assert balances["bank_clearing", currency] == amount_minor
    if not any(kind != "late" for _, kind in world.injections):
        ours = sum(
            event.amount_minor * (1 if event.type == "payment.captured" else -1)
            for story in world.events
            for event in story
        )
        assert balances["network_receivable", "EUR"] == -ours
        assert balances["suspense", "EUR"] == 0
        assert model.settled() == {story[0].payment_id for story in world.events}


@RUNS
@given(worlds(), st.sampled_from(["resolved", "written_off"]), st.randoms(use_true_random=False))
def test_what_people_wrote_off_leaves_suspense_empty(world: World, state: str, chance: Any) -> None:
    model = told_in_order(world)
    last = {e.break_id: e for e in model.events if e.break_id}
    open_now = list(model.breaks())
    chance.shuffle(open_now)
    for break_id in open_now:
        told, late = last[break_id], model.breaks().get(break_id, ("", "", ""))[1] == "late"
        wanted = "resolved" if late else state
        decision = ReconciliationRequest(
            request_id=f"d{break_id}",
            subject_id=told.subject_id,
            kind="decide",
            issued_at_ms=FAR_MS,
            source="operator",
            operation_id=told.operation_id,
            report_id=None if told.operation_id else told.report_id,
            break_id=break_id,
            break_state=wanted,
            actor="ada",
            reason="seen",
        )
        for _ in range(2):
            model.ask(decision)
            model.drain()
    assert model.breaks() == {}
    refused = [e for e in model.events if e.type == "decision.refused"]
    assert len(refused) == len(open_now), "a repeated decision is refused and changes nothing"
    if state == "written_off":
        left = {key: v for key, v in model.balances().items() if key[0] == "suspense"}
        assert left == {}
