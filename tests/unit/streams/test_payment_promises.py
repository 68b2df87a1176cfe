"""What the events promise to their readers, and what the memory of a payment costs."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import ids
from schemas.codec import encode
from schemas.enums import EventType as E
from schemas.partitioning import partition_of
from streams.domain import Policy, decide, evolve
from streams.state_codec import encode_state


def long_life(story: Any) -> Any:
    """Capture in parts, a refused command, refunds, a dispute, settlement."""
    story.authorized(fee_basis_points=150, fee_fixed_minor=25, card="jwe", reference="basket")
    story.tell("capture", amount_minor=400)
    story.result("approved", "capture")
    story.tell("refund", amount_minor=401)
    story.tell("capture", amount_minor=600)
    story.result("unknown", "capture", 2)
    story.deadline()
    story.result("approved", "capture", 2, attempt=2)
    story.tell("settle")
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=5)
    story.tell("lose_dispute", dispute_id="dsp_1")
    story.tell("refund", amount_minor=995)
    story.result("approved", "refund")
    return story


def test_events_are_numbered_without_a_gap_and_have_derived_ids(story: Any) -> None:
    events = long_life(story).events
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [e.event_id for e in events] == [
        ids.event_id(story.payment_id, e.sequence) for e in events
    ]


def test_every_event_names_its_cause_and_takes_its_time_from_it(story: Any) -> None:
    for event in long_life(story).events:
        cause = next(c for c in story.commands if c.command_id == event.command_id)
        assert event.occurred_at_ms == cause.issued_at_ms
        assert (event.command_kind, event.fingerprint) == (cause.kind, cause.fingerprint)


def test_the_events_alone_rebuild_the_payment(story: Any) -> None:
    folded = None
    for event in long_life(story).events:
        folded = evolve(folded, event)
        assert (folded.status, folded.sequence) == (event.status, event.sequence)
        assert folded.captured_minor == event.captured_minor <= event.requested_minor
    assert folded == story.state


def test_a_replay_of_the_commands_gives_the_same_bytes(story: Any) -> None:
    long_life(story)
    state, replayed = None, []
    for command in story.commands:
        decision = decide(state, command, Policy())
        state = decision.state
        replayed += map(encode, decision.events)
    assert replayed == [encode(event) for event in story.events]


def test_copies_of_a_request_meet_in_one_partition_whoever_took_them() -> None:
    first, second = (ids.payment_id("mer_1", "live", "basket 7") for _ in range(2))
    assert partition_of(first, 64) == partition_of(second, 64)
    assert first != ids.payment_id("mer_1", "test", "basket 7")


def test_only_the_first_of_many_creates_claims_the_payment(story: Any) -> None:
    assert story.create() == [E.CREATED]
    for number in range(5):
        story.create(name=f"process {number}", amount_minor=1000 + number)
    assert [event.type for event in story.events[1:]] == 5 * [E.COMMAND_REJECTED]
    assert [request.operation for request in story.requests] == ["authorize"]


@pytest.mark.parametrize(
    "stranger", [{"merchant_id": "mer_2"}, {"mode": "live"}, {"currency": "USD"}]
)
def test_a_payment_is_of_its_creator_whoever_spoke_of_it_before(
    story: Any, stranger: dict[str, str]
) -> None:
    story.tell("capture", **stranger)
    assert story.events[0].currency == stranger.get("currency", ""), "what was asked for is told"
    assert story.create() == [E.CREATED]
    for owned in (story.events[-1], story.state):
        assert (owned.merchant_id, owned.mode, owned.currency) == ("mer_1", "test", "EUR")
    story.result("approved")
    story.result("approved", "capture")
    assert story.tell("refund", **{"currency": "EUR", **stranger}) == [E.COMMAND_REJECTED]


def test_a_repeat_has_the_first_outcome_however_long_ago_it_was(story: Any) -> None:
    long_life(story)
    count = len(story.events)
    for command in tuple(story.commands):
        if command.source == "api":
            assert story.send(command).events == ()
    assert len(story.events) == count


def test_a_remembered_command_costs_about_70_bytes_and_a_captured_payment_400(story: Any) -> None:
    story.captured()
    before = len(encode_state(story.state))
    references = len(story.key) + len("net_1")
    assert before - references < 450
    for number in range(100):
        story.tell("capture", name=str(number))
    assert len(encode_state(story.state)) - before < 100 * 90
