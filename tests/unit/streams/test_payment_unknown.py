"""An outcome that is not known: what must not happen, each known from another system's bug list.

The numbers are those of the project's list of known defects elsewhere: C1 to C4.
"""

from __future__ import annotations

from typing import Any

from schemas.enums import EventType as E
from schemas.enums import RejectionReason as R
from schemas.enums import Source
from streams.domain import Policy, deadline_command, next_due
from streams.domain.evolve import SYSTEM_COMMANDS_MAX


def test_c1_no_second_capture_while_the_first_is_unknown(story: Any) -> None:
    story.authorized().tell("capture", name="k")
    story.result("unknown", "capture")
    first = story.commands[-2]
    assert story.send(first).events == (), "the same key is a repeat"
    for kind in ("capture", "void", "refund"):
        assert story.tell(kind) == [E.COMMAND_REJECTED]
        assert story.reason == R.OUTCOME_PENDING
    assert [request.operation for request in story.requests] == ["authorize", "capture"]
    story.result("approved", "capture")
    assert (story.status, story.state.captured_minor) == ("captured", 1000)


def test_c2_an_unknown_payment_that_turns_out_paid_is_paid_once(story: Any) -> None:
    story.create()
    story.result("unknown")
    assert story.send(story.commands[0]).events == (), "the merchant tries again"
    story.deadline()
    assert story.result("approved", attempt=1, network_reference="n") == [
        E.AUTHORIZED,
        E.CAPTURE_REQUESTED,
    ]
    assert story.result("approved", attempt=2, network_reference="n") == [E.COMMAND_REJECTED]
    assert story.reason == R.STALE_RESULT
    assert story.send(story.commands[0]).events == ()
    story.result("approved", "capture")
    captures = [request for request in story.requests if request.operation == "capture"]
    assert (len(captures), story.state.captured_minor) == (1, 1000)


def test_c3_a_stale_status_is_not_written_back(story: Any) -> None:
    story.authorized().tell("capture")
    story.result("unknown", "capture")
    story.deadline()
    story.result("approved", "capture", attempt=1)
    captured = story.state
    for outcome in ("unknown", "failed", "declined"):
        assert story.result(outcome, "capture", attempt=2) == [E.COMMAND_REJECTED]
        opposite = outcome != "unknown"
        assert story.reason == (R.CONFLICTING_RESULT if opposite else R.STALE_RESULT)
    assert story.status == "captured"
    assert story.state.operations == captured.operations


def test_c4_a_late_notification_does_not_corrupt_the_state(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture")
    for outcome in ("approved", "declined", "failed", "unknown", "requires_action"):
        assert story.result(outcome, "authorize") == [E.COMMAND_REJECTED]
        opposite = outcome in ("declined", "failed")
        assert story.reason == (R.CONFLICTING_RESULT if opposite else R.STALE_RESULT)
    assert story.status == "partially_captured"
    assert story.tell("capture") == [E.CAPTURE_REQUESTED]
    assert story.result("approved", "capture", 2) == [E.CAPTURED]


def test_an_older_no_is_not_believed_while_a_newer_question_is_open(story: Any) -> None:
    story.authorized().tell("capture")
    story.result("unknown", "capture")
    story.deadline()
    for outcome in ("failed", "declined"):
        story.result(outcome, "capture", attempt=1)
        assert (story.reason, story.status) == (R.STALE_RESULT, "unknown")
    assert story.result("failed", "capture", attempt=2) == [E.CAPTURE_FAILED]


def test_an_answer_to_a_question_that_was_not_asked_is_stale(story: Any) -> None:
    story.create()
    for fields in ({"attempt": 2}, {"attempt": 0}, {"number": 2}, {"operation": "capture"}):
        assert story.result("approved", **fields) == [E.COMMAND_REJECTED]
        assert story.reason == R.STALE_RESULT


def test_the_first_answer_late_but_definite_is_taken(story: Any) -> None:
    story.create()
    story.result("unknown")
    assert story.result("declined") == [E.DECLINED]


def test_an_outcome_that_nobody_knows_by_name_is_refused(story: Any) -> None:
    story.create()
    story.result("maybe")
    assert (story.reason, story.status) == (R.FIELD_INVALID, "authorizing")


def test_the_network_is_asked_again_after_growing_pauses(story: Any) -> None:
    story.create()
    waits = []
    for attempt in range(1, 6):
        story.result("unknown", attempt=attempt)
        waits.append(next_due(story.state).at_ms - story.events[-1].occurred_at_ms)
        assert story.deadline() == [E.RESOLUTION_REQUESTED]
        question = story.requests[-1]
        assert (question.operation, question.subject_operation) == ("status", "authorize")
        assert question.attempt == attempt + 1
        assert question.first_requested_at_ms == story.events[0].occurred_at_ms
        assert question.operation_id == story.requests[0].operation_id
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000]


def test_silence_after_a_request_is_asked_about(story: Any) -> None:
    story.create()
    assert next_due(story.state).kind == "resolve_unknown"
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    assert story.status == "unknown"
    assert story.deadline() == [E.RESOLUTION_REQUESTED], "and silence after the question, too"


def test_a_deadline_that_fires_twice_asks_once(story: Any) -> None:
    story.create()
    story.result("unknown")
    due_at_ms = next_due(story.state).at_ms
    first, second = (deadline_command(story.state, due_at_ms + wait) for wait in (0, 5000))
    assert first.command_id == second.command_id
    assert len(story.send(first).events) == 1
    assert story.send(second).events == ()


def test_asking_before_the_time_is_refused_unless_a_person_asks(story: Any) -> None:
    story.create()
    story.result("unknown")
    assert story.tell("resolve_unknown", source=Source.DEADLINES) == [E.COMMAND_REJECTED]
    assert story.reason == R.NOT_DUE
    assert story.tell("resolve_unknown", source=Source.OPERATOR) == [E.RESOLUTION_REQUESTED]


def test_asking_ends_and_a_person_can_still_resolve(new_story: Any) -> None:
    story = new_story(policy=Policy(status_inquiry_attempts_max=2))
    story.create()
    story.result("unknown")
    story.deadline()
    story.result("unknown", attempt=2)
    assert next_due(story.state) is None
    assert story.tell("resolve_unknown", source=Source.OPERATOR) == [E.RESOLUTION_REQUESTED]
    assert story.result("approved", attempt=3) == [E.AUTHORIZED, E.CAPTURE_REQUESTED]


def test_c1_a_copy_of_an_unknown_result_is_stale_however_late_it_comes(story: Any) -> None:
    """The memory of system commands is short; the operation's status is not."""
    story.authorized().tell("capture")
    story.result("unknown", "capture")
    copy = story.commands[-1]
    for number in range(SYSTEM_COMMANDS_MAX + 1):
        story.result("declined", attempt=1, reason=f"late {number}")
    before = story.state.operations
    assert [event.type for event in story.send(copy).events] == [E.COMMAND_REJECTED]
    assert story.reason == R.STALE_RESULT
    assert story.state.operations == before


def test_c1_a_status_inquiry_may_end_unknown_again(story: Any) -> None:
    story.authorized().tell("capture")
    story.result("unknown", "capture")
    story.deadline()
    assert story.result("unknown", "capture", attempt=2) == [E.OUTCOME_UNKNOWN]
    assert story.status == "unknown"
