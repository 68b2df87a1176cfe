"""What of a payment is due first, and when: all times come from the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas import ids
from schemas.enums import SYSTEM_COMMAND_KINDS, CommandKind
from schemas.enums import EventType as E
from schemas.enums import RejectionReason as R
from streams.domain import Policy, deadline_command, next_due, next_due_at_ms

POLICY = Policy(
    authorization_valid_seconds=100,
    action_timeout_seconds=20,
    network_timeout_seconds=30,
    status_inquiry_backoff_seconds=3,
    status_inquiry_backoff_seconds_max=11,
    status_inquiry_attempts_max=4,
    settlement_due_seconds=50,
)


def test_what_holds_if_nobody_sets_anything() -> None:
    policy, minute, day = Policy(), 60_000, 86_400_000
    assert policy.expires_at_ms(0) == 7 * day
    assert policy.action_due_at_ms(0) == 15 * minute
    assert policy.result_due_at_ms(0, 1) == 5 * minute
    assert policy.settlement_due_at_ms(0) == 5 * day
    assert policy.status_inquiry_due_at_ms(0, 59) == day / 4
    assert policy.archive_after_seconds * 1000 == 180 * day


def test_every_time_is_the_setting_after_now() -> None:
    assert POLICY.expires_at_ms(7) == 100_007
    assert POLICY.action_due_at_ms(7) == 20_007
    assert POLICY.settlement_due_at_ms(7) == 50_007
    assert [POLICY.result_due_at_ms(7, n) for n in (1, 3, 4)] == [30_007, 30_007, None]


def test_questions_grow_rarer_up_to_a_longest_wait_and_end() -> None:
    waits = [POLICY.status_inquiry_due_at_ms(7, attempt) for attempt in range(1, 6)]
    assert waits == [3_007, 6_007, 11_007, None, None]


def test_even_the_largest_settings_give_times_that_a_record_can_hold() -> None:
    policy = Policy(status_inquiry_attempts_max=1000, status_inquiry_backoff_seconds_max=1 << 50)
    times = [policy.status_inquiry_due_at_ms(0, attempt) for attempt in (40, 41, 42, 999)]
    assert all(at_ms is not None and at_ms < 1 << 63 for at_ms in times)
    assert len(set(times[1:])) == 1, "the wait has stopped growing"


def test_nothing_is_due_of_a_payment_at_its_end(story: Any) -> None:
    story.create()
    story.result("declined")
    assert next_due_at_ms(story.state) is None
    assert deadline_command(story.state, 1 << 60) is None


def test_the_time_that_the_table_is_ordered_by_is_that_of_the_earliest_deadline(
    new_story: Callable[..., Any],
) -> None:
    story = new_story(policy=POLICY)
    story.create()
    assert next_due_at_ms(story.state) == story.now_ms + 30_000
    story.result("requires_action")
    assert next_due_at_ms(story.state) == story.now_ms + 20_000


def test_an_operation_goes_before_a_later_date_of_the_payment(story: Any) -> None:
    story.captured().tell("refund", amount_minor=1)
    due = next_due(story.state)
    assert (due.kind, due.operation.operation) == ("resolve_unknown", "refund")
    story.result("approved", "refund")
    assert next_due(story.state).kind == "settlement_due"


def test_a_date_of_the_payment_goes_before_an_operation_of_the_same_time(
    new_story: Callable[..., Any],
) -> None:
    story = new_story(policy=Policy(settlement_due_seconds=301, network_timeout_seconds=300))
    story.captured().tell("refund", amount_minor=1)
    assert next_due(story.state).at_ms == story.state.operations[-1].due_at_ms
    assert next_due(story.state).kind == "settlement_due"


def test_of_two_operations_that_are_due_at_once_the_older_is_asked_about_first(story: Any) -> None:
    story.captured().tell("refund", amount_minor=1)
    story.now_ms -= 1000
    story.tell("refund", amount_minor=2)
    one, two = story.state.operations[-2:]
    assert one.due_at_ms == two.due_at_ms
    assert next_due(story.state).operation == one


def test_the_command_of_a_deadline_is_named_after_it(story: Any) -> None:
    story.create()
    due = next_due(story.state)
    command = deadline_command(story.state, due.at_ms + 250)
    key = story.requests[0].operation_id
    assert (command.kind, command.source, command.operation_id) == (
        "resolve_unknown",
        "deadlines",
        key,
    )
    assert command.issued_at_ms == due.at_ms + 250
    assert command.command_id == ids.command_id(
        story.payment_id, "resolve_unknown", f"{key}@{due.at_ms}"
    )
    assert command.fingerprint == ids.fingerprint(
        {"kind": "resolve_unknown", "due_at_ms": due.at_ms}
    )


def test_the_command_of_a_payment_s_own_deadline_names_no_operation(story: Any) -> None:
    story.authorized()
    due = next_due(story.state)
    command = deadline_command(story.state, due.at_ms)
    assert (command.kind, command.operation_id) == ("expire", None)
    assert command.command_id == ids.command_id(story.payment_id, "expire", f"@{due.at_ms}")
    assert (command.payment_id, command.merchant_id, command.mode) == (
        story.payment_id,
        "mer_1",
        "test",
    )


def waits_for(story: Any, kind: str) -> int:
    """Brings the payment to where that deadline is the next one; when it is."""
    story.create(
        capture_method="manual" if kind == "expire" else "automatic",
        capture_delay_seconds=60 if kind == "capture_due" else None,
    )
    if kind == "resolve_unknown":
        story.result("unknown")
    elif kind == "action_timed_out":
        story.result("requires_action")
    else:
        story.result("approved")
    if kind == "settlement_due":
        story.result("approved", "capture")
    due = next_due(story.state)
    assert due.kind == kind
    return int(due.at_ms)


@pytest.mark.parametrize("kind", sorted(SYSTEM_COMMAND_KINDS - {CommandKind.NETWORK_RESULT}))
def test_a_deadline_is_kept_to_the_millisecond(story: Any, kind: str) -> None:
    at_ms = waits_for(story, kind)
    story.now_ms = at_ms - 1001
    assert story.tell(kind, name="early") == [E.COMMAND_REJECTED]
    assert story.reason == R.NOT_DUE
    story.now_ms = at_ms - 1000
    assert story.tell(kind, name="now") != [E.COMMAND_REJECTED]


@pytest.mark.parametrize("kind", sorted(SYSTEM_COMMAND_KINDS - {CommandKind.NETWORK_RESULT}))
def test_a_timer_that_fires_twice_has_one_effect(story: Any, kind: str) -> None:
    at_ms = waits_for(story, kind)
    first, second = (deadline_command(story.state, at_ms + wait) for wait in (0, 60_000))
    assert len(story.send(first).events) == 1
    assert story.send(second).events == ()


@pytest.mark.parametrize("by", ["its deadline", "the merchant"])
def test_a_background_capture_that_was_declined_is_not_tried_again_by_itself(
    story: Any, by: str
) -> None:
    at_ms = waits_for(story, "capture_due")
    if by == "its deadline":
        story.send(deadline_command(story.state, at_ms))
    else:
        story.tell("capture", amount_minor=1)
    story.result("declined", "capture")
    assert (story.status, next_due(story.state).kind) == ("authorized", "expire")


@pytest.mark.parametrize(("instead", "busy"), [("capture", "capturing"), ("void", "voiding")])
def test_a_refund_that_ends_beside_a_capture_or_void_leaves_the_main_state(
    story: Any, instead: str, busy: str
) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture")
    story.tell("refund", amount_minor=100)
    story.tell(instead, **({"amount_minor": 100} if instead == "capture" else {}))
    assert story.result("approved", "refund") == [E.REFUND_SUCCEEDED]
    assert story.status == busy
    story.result("approved", instead, 2 if instead == "capture" else 1)
    assert story.status == ("partially_captured" if instead == "capture" else "captured")


@pytest.mark.parametrize("operation", ["authorize", "capture", "reverse_authorize"])
def test_silence_about_a_first_attempt_is_asked_about_if_two_are_allowed(
    new_story: Callable[..., Any], operation: str
) -> None:
    story = new_story(policy=Policy(status_inquiry_attempts_max=2))
    story.create()
    if operation == "capture":
        story.result("approved")
    elif operation == "reverse_authorize":
        story.result("declined")
        story.result("approved", name="late")
    assert story.state.operations[-1].due_at_ms == story.now_ms + 300_000
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    assert next_due(story.state) is None, "the second was the last"
