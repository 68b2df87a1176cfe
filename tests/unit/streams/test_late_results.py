"""The network contradicts itself: a yes after a no is not dropped, a no after a yes is reported."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.enums import EventType as E
from schemas.enums import RejectionReason as R
from schemas.enums import Source
from streams.domain import deadline_command, next_due
from streams.state_codec import decode_state, encode_state


def totals(story: Any) -> tuple[int, int, int]:
    state = story.state
    return state.authorized_minor, state.captured_minor, state.refunded_minor


@pytest.mark.parametrize("said", ["declined", "failed"])
def test_a_yes_after_a_no_to_an_authorization_is_voided_and_stays_a_no(
    story: Any, said: str
) -> None:
    story.create()
    story.result(said)
    late = story.result("approved", network_reference="net_1", name="late")
    assert late == [E.REVERSAL_REQUESTED]
    event, void = story.events[-1], story.requests[-1]
    assert (event.status, event.amount_minor, event.authorized_minor) == (said, 1000, 0)
    assert (event.reason, event.network_reference) == ("late_approval_of_authorize", "net_1")
    assert (void.operation, void.amount_minor, void.network_reference) == ("void", 1000, "net_1")
    assert void.operation_id == f"{story.payment_id}:reverse_authorize:1"
    assert (void.subject_operation, void.attempt, void.return_url) == (None, 1, None)
    assert story.result("approved", "reverse_authorize") == [E.REVERSED]
    assert (story.status, totals(story)) == (said, (0, 0, 0))
    assert next_due(story.state) is None


def test_the_customer_was_back_in_time_and_the_yes_came_after_the_deadline(story: Any) -> None:
    story.create()
    story.result("requires_action", network_reference="net_1")
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    assert story.result("requires_action", attempt=2) == [E.FAILED]
    assert story.result("approved", name="late") == [E.REVERSAL_REQUESTED]
    assert story.requests[-1].network_reference == "net_1"
    assert story.status == "failed"


def test_a_yes_that_comes_twice_is_taken_back_once(story: Any) -> None:
    story.create()
    story.result("declined")
    story.result("approved", name="late")
    assert story.send(story.commands[-1]).events == ()
    assert story.result("approved", name="later") == [E.COMMAND_REJECTED]
    assert story.reason == R.STALE_RESULT
    story.result("approved", "reverse_authorize")
    assert story.result("approved", name="latest") == [E.COMMAND_REJECTED]
    assert [request.operation for request in story.requests] == ["authorize", "void"]


def test_a_late_capture_that_still_fits_is_recorded(story: Any) -> None:
    story.authorized(fee_basis_points=100).tell("capture", amount_minor=400)
    story.result("failed", "capture")
    assert story.result("approved", "capture", name="late") == [E.CAPTURED]
    assert (story.status, totals(story)) == ("partially_captured", (1000, 400, 0))
    assert story.events[-1].fee_minor == 4
    assert story.result("approved", "capture", name="later") == [E.COMMAND_REJECTED]
    assert story.reason == R.STALE_RESULT


@pytest.mark.parametrize("instead", ["capture", "void"])
@pytest.mark.parametrize("pending", [True, False])
def test_a_late_capture_beside_what_was_done_instead_is_refunded(
    story: Any, instead: str, pending: bool
) -> None:
    story.authorized().tell("capture", amount_minor=700)
    story.result("declined", "capture")
    story.tell(instead)
    if not pending:
        story.result("approved", instead, 2 if instead == "capture" else 1)
    status, before = story.status, totals(story)
    assert story.result("approved", "capture", name="late") == [E.REVERSAL_REQUESTED]
    refund = story.requests[-1]
    assert (refund.operation, refund.amount_minor, refund.refund_id) == ("refund", 700, None)
    assert refund.operation_id == f"{story.payment_id}:reverse_capture:1"
    assert refund.network_reference == "net_1"
    assert (story.status, totals(story)) == (status, before)
    assert story.result("approved", "reverse_capture") == [E.REVERSED]
    assert (story.status, totals(story)) == (status, before)


def test_a_late_capture_larger_than_what_is_left_is_refunded(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=700)
    story.result("failed", "capture")
    story.tell("capture", amount_minor=301)
    story.result("approved", "capture", 2)
    assert story.result("approved", "capture", name="late") == [E.REVERSAL_REQUESTED]


def test_a_late_capture_of_just_what_is_left_is_recorded(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=700)
    story.result("failed", "capture")
    story.tell("capture", amount_minor=300)
    story.result("approved", "capture", 2)
    assert story.result("approved", "capture", name="late") == [E.CAPTURED]
    assert (story.status, totals(story)) == ("captured", (1000, 1000, 0))


def test_a_late_void_ends_the_authorization(story: Any) -> None:
    story.authorized().tell("void")
    story.result("failed", "void")
    assert story.result("approved", "void", name="late") == [E.VOIDED]
    assert (story.status, totals(story)) == ("voided", (0, 0, 0))


def test_a_late_void_beside_a_capture_is_for_people(story: Any) -> None:
    story.authorized().tell("void")
    story.result("failed", "void")
    story.tell("capture", amount_minor=100)
    for name in ("while the capture is open", "after it"):
        assert story.result("approved", "void", name=name) == [E.COMMAND_REJECTED]
        assert story.reason == R.CONFLICTING_RESULT
        story.result("approved", "capture")
    assert story.state.captured_minor == 100


def test_a_late_refund_that_still_fits_is_recorded(story: Any) -> None:
    story.captured().tell("refund", amount_minor=1000)
    story.result("declined", "refund")
    assert story.result("approved", "refund", name="late") == [E.REFUND_SUCCEEDED]
    assert totals(story) == (1000, 1000, 1000)


def test_a_late_refund_beside_another_is_for_people(story: Any) -> None:
    story.captured().tell("refund", amount_minor=600)
    story.result("failed", "refund")
    story.tell("refund", amount_minor=401)
    assert story.result("approved", "refund", name="late") == [E.COMMAND_REJECTED]
    assert story.reason == R.CONFLICTING_RESULT
    assert (totals(story), len(story.requests)) == ((1000, 1000, 0), 4)


def test_an_unknown_reversal_is_asked_about_and_leaves_the_main_state(story: Any) -> None:
    story.create()
    story.result("declined")
    story.result("approved", name="late", network_reference="net_1")
    assert story.result("unknown", "reverse_authorize") == [E.OUTCOME_UNKNOWN]
    assert story.status == "declined"
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    question = story.requests[-1]
    assert (question.operation, question.subject_operation) == ("status", "void")
    assert (question.attempt, question.network_reference) == (2, "net_1")
    assert question.operation_id == f"{story.payment_id}:reverse_authorize:1"
    assert story.status == "declined"
    assert story.result("approved", "reverse_authorize", attempt=2) == [E.REVERSED]


def test_silence_about_a_reversal_is_asked_about(story: Any) -> None:
    story.create()
    story.result("failed")
    story.result("approved", name="late")
    due = next_due(story.state)
    assert (due.kind, due.operation.operation) == ("resolve_unknown", "reverse_authorize")
    command = deadline_command(story.state, due.at_ms)
    assert [e.type for e in story.send(command).events] == [E.RESOLUTION_REQUESTED]
    assert story.send(command).events == ()


def test_a_reversal_that_fails_is_reported_and_can_still_succeed(story: Any) -> None:
    story.create()
    story.result("declined")
    story.result("approved", name="late")
    said = {"decline_code": "generic_decline", "reason": "closed"}
    assert story.result("declined", "reverse_authorize", **said) == [E.REVERSAL_FAILED]
    event = story.events[-1]
    assert (event.decline_code, event.reason, event.status) == (*said.values(), "declined")
    assert story.state.operations[-1].status == "declined"
    assert story.result("approved", "reverse_authorize", name="late 2") == [E.REVERSED]
    assert story.result("approved", "reverse_authorize", name="late 3") == [E.COMMAND_REJECTED]


def test_a_reversal_hinders_no_other_operation(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("failed", "capture")
    story.tell("capture", amount_minor=700)
    story.result("approved", "capture", name="late")
    story.result("unknown", "reverse_capture")
    assert story.status == "capturing"
    assert story.result("approved", "capture", 2) == [E.CAPTURED]
    assert story.status == "partially_captured"
    assert story.tell("refund", amount_minor=700) == [E.REFUND_REQUESTED]


def test_a_no_after_a_yes_moves_nothing_and_is_reported_by_name(story: Any) -> None:
    story.captured()
    for outcome in ("declined", "failed"):
        assert story.result(outcome, "capture", name=outcome) == [E.COMMAND_REJECTED]
        assert story.reason == R.CONFLICTING_RESULT
    assert (story.status, totals(story)) == ("captured", (1000, 1000, 0))


def test_a_no_to_an_earlier_question_after_a_yes_is_only_stale(story: Any) -> None:
    story.authorized().tell("capture")
    story.result("unknown", "capture")
    story.tell("resolve_unknown", source=Source.OPERATOR)
    story.result("approved", "capture", attempt=2)
    assert story.result("failed", "capture", attempt=1) == [E.COMMAND_REJECTED]
    assert story.reason == R.STALE_RESULT


def test_a_second_no_and_a_yes_to_what_was_never_asked_are_stale(story: Any) -> None:
    story.create()
    story.result("declined")
    for outcome, attempt in (("declined", 1), ("failed", 1), ("approved", 2), ("approved", 0)):
        assert story.result(outcome, attempt=attempt, name="again") == [E.COMMAND_REJECTED]
        assert story.reason == R.STALE_RESULT


def test_a_state_with_a_reversal_survives_its_encoding(story: Any) -> None:
    story.create()
    story.result("declined")
    story.result("approved", name="late", network_reference="net_1")
    assert story.state.operations[-1].network_reference == "net_1"
    assert decode_state(encode_state(story.state)) == story.state
