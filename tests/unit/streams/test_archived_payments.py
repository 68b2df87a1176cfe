"""A payment that left the table: who waits for its history, who asks, and what brings it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.codec import encode
from schemas.enums import ArchiveCommandKind, Source
from schemas.enums import EventType as E
from schemas.records import HistoryRequest, PaymentCommand
from streams.domain import Handled, PaymentState, Policy, Stored, decide, handle
from streams.domain.archive import ArchivedPayment, WaitingCommand, archive_command, archive_stub
from streams.domain.archived_payments import (
    REQUEST_AGAIN_AFTER_MS,
    WAITING_MAX,
    TooManyWaiting,
)
from streams.domain.history_codec import pack

POLICY = Policy()


def stub_of(stored: Stored) -> ArchivedPayment | None:
    """The stub, if the payment is archived."""
    return stored if isinstance(stored, ArchivedPayment) else None


class Kept:
    """One payment wherever it is kept, beside the story that tells what it is without archiving."""

    def __init__(self, story: Any) -> None:
        self.story = story
        self.stored: Stored = story.state

    @property
    def state(self) -> PaymentState | None:
        return self.stored if isinstance(self.stored, PaymentState) else None

    @property
    def stub(self) -> ArchivedPayment | None:
        return stub_of(self.stored)

    def handle(self, command: PaymentCommand, trace: bytes | None = None) -> Handled:
        handled = handle(self.stored, command, POLICY, trace)
        self.stored = handled.stored
        return handled

    def archived(self) -> Kept:
        """Half a year later the payment left the table."""
        assert self.state is not None
        later_ms = self.state.updated_at_ms + POLICY.archive_after_seconds * 1000
        command = archive_command(self.state, later_ms, POLICY)
        assert command is not None
        self.story.now_ms = later_ms
        self.handle(command)
        return self

    def ask(self, kind: str = "refund", trace: bytes | None = None, **fields: Any) -> Handled:
        """A command for the payment comes."""
        return self.handle(self.story.command(kind, **fields), trace)

    def history(self, attempt: int, events: Any = None, **fields: Any) -> PaymentCommand:
        """The answer of the audit store to the question of an attempt."""
        told = self.story.events if events is None else events
        packed = pack([encode(event) for event in told])
        command: PaymentCommand = self.story.command(
            ArchiveCommandKind.HISTORY, name=f"h{attempt}", attempt=attempt, source=Source.ARCHIVE
        )
        return replace(command, history=packed, **fields)

    @property
    def waiting(self) -> list[str]:
        assert self.stub is not None
        return [waiting.command.command_id for waiting in self.stub.waiting]


@pytest.fixture
def kept(story: Any) -> Kept:
    """A payment that was captured and paid out, in the table."""
    story.captured().tell("settle")
    return Kept(story)


def test_a_payment_in_the_table_is_decided_as_without_archiving(kept: Kept) -> None:
    command = kept.story.command("refund", amount_minor=100)
    plain = decide(kept.state, command, POLICY)
    assert kept.handle(command, b"trace") == Handled(plain.state, decisions=((plain, b"trace"),))
    assert [event.type for event in plain.events] == [E.REFUND_REQUESTED]


def test_a_new_payment_is_decided_too(new_story: Callable[..., Any]) -> None:
    story = new_story(key="new")
    command = story.command("create", amount_minor=5, currency="EUR", idempotency_key="new")
    handled = handle(None, command, Policy(status_inquiry_attempts_max=1))
    ((decision, trace),) = handled.decisions
    assert (trace, handled.stored) == (None, decision.state)
    assert decision.events[0].type == E.CREATED
    assert decision.events[0].due_at_ms is None, "the policy of the caller rules"


def test_archiving_leaves_a_stub_and_decides_nothing(kept: Kept) -> None:
    state = kept.state
    assert state is not None
    kept.archived()
    assert kept.stored == archive_stub(state)


def test_an_archive_command_that_is_early_or_of_another_state_moves_nothing(kept: Kept) -> None:
    state = kept.state
    assert state is not None
    due_at_ms = state.updated_at_ms + POLICY.archive_after_seconds * 1000
    command = archive_command(state, due_at_ms, POLICY)
    assert command is not None
    early = replace(command, issued_at_ms=due_at_ms - 1)
    other = replace(command, command_id="cmd_other")
    assert [kept.handle(wrong) for wrong in (early, other)] == 2 * [Handled(state)]


def test_something_that_happened_on_the_way_keeps_the_payment_in_the_table(kept: Kept) -> None:
    assert kept.state is not None
    later_ms = kept.state.updated_at_ms + POLICY.archive_after_seconds * 1000
    command = archive_command(kept.state, later_ms, POLICY)
    assert command is not None
    kept.ask("capture")
    state = kept.state
    assert kept.handle(replace(command, issued_at_ms=2 * later_ms)) == Handled(state)


def test_the_archive_follows_the_setting(kept: Kept) -> None:
    state, hour = kept.state, Policy(archive_after_seconds=3600)
    assert state is not None
    command = archive_command(state, state.updated_at_ms + 3_600_000, hour)
    assert command is not None
    assert handle(state, command, hour) == Handled(archive_stub(state))
    assert handle(state, command, POLICY) == Handled(state)


def test_an_archive_command_that_comes_twice_keeps_the_stub(kept: Kept) -> None:
    assert kept.state is not None
    later_ms = kept.state.updated_at_ms + POLICY.archive_after_seconds * 1000
    command = archive_command(kept.state, later_ms, POLICY)
    assert command is not None
    kept.handle(command)
    stub = kept.stub
    assert kept.handle(command) == Handled(stub)
    assert handle(None, command, POLICY) == Handled(), "a payment that nobody knows"


def test_the_first_command_for_an_archived_payment_asks_for_its_history(kept: Kept) -> None:
    before = kept.archived().stub
    assert before is not None
    command = kept.story.command("refund", amount_minor=100)
    handled = kept.handle(command, b"trace")
    assert handled.history_request == HistoryRequest(
        payment_id=kept.story.payment_id,
        merchant_id="mer_1",
        mode="test",
        sequence=5,
        attempt=1,
        requested_at_ms=command.issued_at_ms,
        command_id=command.command_id,
    )
    assert stub_of(handled.stored) == replace(
        before,
        attempt=1,
        requested_at_ms=command.issued_at_ms,
        waiting=(WaitingCommand(command, b"trace"),),
    )
    assert (handled.decisions, handled.history_rejected) == ((), None)


def test_a_stranger_s_command_asks_in_the_name_of_the_owner(kept: Kept) -> None:
    handled = kept.archived().ask(merchant_id="mer_2", mode="live")
    assert handled.history_request is not None
    assert (handled.history_request.merchant_id, handled.history_request.mode) == ("mer_1", "test")


def test_those_who_come_later_wait_without_another_question(kept: Kept) -> None:
    first = kept.archived().ask(name="a")
    second = kept.ask(name="b", trace=b"b")
    assert (second.history_request, second.decisions) == (None, ())
    assert stub_of(first.stored) is not None
    assert stub_of(second.stored) is not None
    assert stub_of(second.stored).waiting[:1] == stub_of(first.stored).waiting
    assert stub_of(second.stored).waiting[1].trace == b"b"
    assert (stub_of(second.stored).attempt, stub_of(second.stored).requested_at_ms) == (
        1,
        stub_of(first.stored).requested_at_ms,
    )


def test_a_copy_of_one_that_waits_is_absorbed_and_another_body_waits(kept: Kept) -> None:
    command = kept.archived().story.command("refund", amount_minor=1)
    kept.handle(command)
    stub = kept.stub
    assert kept.handle(replace(command, issued_at_ms=command.issued_at_ms + 5)) == Handled(stub)
    kept.handle(replace(command, fingerprint="f" * 64))
    assert len(kept.waiting) == 2


def test_a_question_without_an_answer_is_asked_again_after_a_day(kept: Kept) -> None:
    first = kept.archived().story.command("refund", name="first")
    kept.handle(first)
    asked_ms = first.issued_at_ms
    kept.story.now_ms = asked_ms + REQUEST_AGAIN_AFTER_MS - 1001
    assert kept.ask(name="too early").history_request is None
    kept.story.now_ms = asked_ms + REQUEST_AGAIN_AFTER_MS - 1000
    question = kept.ask(name="a day later").history_request
    assert question is not None
    assert (question.attempt, question.requested_at_ms) == (2, asked_ms + 86_400_000)
    assert question.command_id == first.command_id, "of the one that waits longest"
    assert len(kept.waiting) == 3
    assert kept.ask(name="soon after").history_request is None


def test_a_copy_that_comes_after_a_day_asks_again_too(kept: Kept) -> None:
    command = kept.archived().story.command("refund")
    kept.handle(command)
    late = replace(command, issued_at_ms=command.issued_at_ms + REQUEST_AGAIN_AFTER_MS)
    handled = kept.handle(late)
    assert handled.history_request is not None
    assert kept.waiting == [command.command_id]


def test_waiting_commands_are_bounded_and_what_is_too_much_says_what_to_do(kept: Kept) -> None:
    kept.archived()
    commands = [kept.story.command("refund", name=str(n)) for n in range(WAITING_MAX + 1)]
    for command in commands[:-1]:
        kept.handle(command)
    assert len(kept.waiting) == WAITING_MAX == 16
    with pytest.raises(
        TooManyWaiting,
        match=rf"^{kept.story.payment_id} is archived and 16 commands wait for its history."
        " Replay this one when they are done.$",
    ):
        kept.handle(commands[-1])
    assert kept.handle(commands[0]).stored == kept.stub, "a copy needs no room"


def test_the_history_brings_the_payment_back_and_everyone_gets_an_outcome(kept: Kept) -> None:
    kept.archived()
    commands = [
        kept.story.command("refund", name="a", amount_minor=600),
        kept.story.command("refund", name="b", amount_minor=600),
        kept.story.command("open_dispute", name="c", amount_minor=400),
    ]
    for number, command in enumerate(commands):
        kept.handle(command, b"%d" % number)
    handled = kept.handle(kept.history(1))
    plain = [kept.story.send(command) for command in commands]
    assert handled == Handled(
        kept.story.state,
        decisions=tuple((decision, b"%d" % n) for n, decision in enumerate(plain)),
    )
    types = [decision.events[0].type for decision, _ in handled.decisions]
    assert types == [E.REFUND_REQUESTED, E.COMMAND_REJECTED, E.DISPUTE_OPENED]


def test_waiting_commands_are_decided_by_the_setting_of_the_worker(kept: Kept) -> None:
    kept.archived().ask(amount_minor=1)
    handled = handle(kept.stub, kept.history(1), Policy(status_inquiry_attempts_max=1))
    ((decision, _),) = handled.decisions
    assert decision.events[0].due_at_ms is None


def test_a_history_that_nobody_asked_for_changes_nothing(kept: Kept) -> None:
    state = kept.state
    assert kept.handle(kept.history(0)) == Handled(state), "the payment is in the table"
    kept.archived()
    stub = kept.stub
    assert stub is not None
    assert kept.handle(kept.history(stub.attempt)) == Handled(stub), "nobody waits"
    assert handle(None, kept.history(1), POLICY) == Handled()


def test_the_answer_to_an_earlier_question_changes_nothing(kept: Kept) -> None:
    kept.archived().ask(name="a")
    stub = kept.stub
    for attempt in (0, 2):
        assert kept.handle(kept.history(attempt)) == Handled(stub)


def test_a_history_that_comes_twice_brings_the_payment_back_once(kept: Kept) -> None:
    kept.archived().ask(amount_minor=1)
    answer = kept.history(1)
    kept.handle(answer)
    state = kept.state
    assert kept.handle(answer) == Handled(state)


def test_a_wrong_history_is_refused_by_name_and_asked_for_again(kept: Kept) -> None:
    kept.archived()
    commands = [kept.story.command("refund", name=name) for name in "ab"]
    for command in commands:
        kept.handle(command)
    answer = kept.history(1, kept.story.events[:-1])
    handled = kept.handle(answer)
    assert handled.history_rejected == "4 events came, the payment had 5"
    assert handled.history_request is not None
    assert (handled.history_request.attempt, handled.history_request.requested_at_ms) == (
        2,
        answer.issued_at_ms,
    )
    assert handled.history_request.command_id == commands[0].command_id
    assert stub_of(handled.stored) is not None
    assert (stub_of(handled.stored).attempt, stub_of(handled.stored).requested_at_ms) == (
        2,
        answer.issued_at_ms,
    )
    assert kept.waiting == [command.command_id for command in commands]
    assert handled.decisions == ()
    assert len(kept.handle(kept.history(2)).decisions) == 2, "the right one ends the wait"


def test_the_history_of_another_payment_is_refused(
    kept: Kept, new_story: Callable[..., Any]
) -> None:
    kept.archived().ask()
    other = new_story(key="order-2")
    other.captured().tell("settle")
    refused = kept.handle(kept.history(1, other.events)).history_rejected
    assert refused is not None
    assert refused.endswith("is of another payment")


def test_a_command_without_a_history_is_refused_and_asked_for_again(kept: Kept) -> None:
    kept.archived().ask()
    handled = kept.handle(replace(kept.history(1), history=None))
    assert handled.history_rejected == "the command carries no history"
    assert handled.history_request is not None
