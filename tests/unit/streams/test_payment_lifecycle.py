"""What a payment goes through, as stories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.codec import encode
from schemas.enums import EventType as E
from schemas.enums import RejectionReason as R
from streams.domain import Policy, deadline_command, next_due
from streams.domain.evolve import COMMANDS_REMEMBERED_MAX, SequenceGap, evolve
from streams.state_codec import decode_state, encode_state

DAY_MS = 86_400_000


def test_automatic_capture_follows_the_authorization_at_once(story: Any) -> None:
    assert story.create(card="jwe") == [E.CREATED]
    assert story.status == "authorizing"
    assert story.result("approved", network_reference="net_1") == [
        E.AUTHORIZED,
        E.CAPTURE_REQUESTED,
    ]
    assert story.result("approved", "capture") == [E.CAPTURED]
    assert story.status == "captured"
    authorize, capture = story.requests
    assert (authorize.operation, authorize.card) == ("authorize", "jwe")
    assert (capture.operation, capture.network_reference) == ("capture", "net_1")
    assert capture.operation_id == f"{story.payment_id}:capture:1"


def test_the_card_is_in_no_event_and_not_in_the_state(story: Any) -> None:
    story.create(card="SECRET-JWE")
    assert b"SECRET-JWE" not in encode_state(story.state)
    assert all(b"SECRET-JWE" not in encode(event) for event in story.events)


def test_a_repeat_is_absorbed_and_another_body_is_refused(story: Any) -> None:
    story.create()
    assert story.send(story.commands[0]).events == ()
    assert story.create(amount_minor=999_999) == [E.COMMAND_REJECTED]
    assert story.reason == R.IDEMPOTENCY_MISMATCH
    assert story.send(story.commands[-1]).events == ()
    assert story.state.client_commands[0].reason is None, "the first outcome stands"
    assert story.state.requested_minor == 1000
    assert len(story.requests) == 1


def test_a_second_create_under_another_command_id(story: Any) -> None:
    story.create()
    first = story.commands[0]
    story.tell("create", name="copy", fingerprint=first.fingerprint)
    assert story.reason == R.ALREADY_EXISTS
    story.tell("create", name="other")
    assert story.reason == R.IDEMPOTENCY_MISMATCH
    assert len(story.requests) == 1


def test_a_command_before_the_create_is_refused_and_does_not_hinder_it(story: Any) -> None:
    assert story.tell("capture") == [E.COMMAND_REJECTED]
    assert story.reason == R.NO_SUCH_PAYMENT
    assert story.create() == [E.CREATED]
    assert [event.sequence for event in story.events] == [1, 2]


def test_another_merchant_and_the_other_mode_find_no_payment(story: Any) -> None:
    story.authorized()
    for stranger in ({"merchant_id": "mer_2"}, {"mode": "live"}):
        story.tell("capture", **stranger)
        assert story.reason == R.NO_SUCH_PAYMENT
        assert story.events[-1].merchant_id == "mer_1"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount_minor": None}, R.AMOUNT_INVALID),
        ({"amount_minor": 0}, R.AMOUNT_INVALID),
        ({"amount_minor": -5}, R.AMOUNT_INVALID),
        ({"amount_minor": 10**15 + 1}, R.AMOUNT_INVALID),
        ({"currency": "EURO"}, R.CURRENCY_INVALID),
        ({"currency": None}, R.CURRENCY_INVALID),
        ({"capture_method": "maybe"}, R.FIELD_INVALID),
        ({"capture_delay_seconds": -1}, R.FIELD_INVALID),
        ({"capture_delay_seconds": 8 * 86_400}, R.FIELD_INVALID),
        ({"fee_basis_points": 10_001}, R.FIELD_INVALID),
        ({"fee_fixed_minor": -1}, R.FIELD_INVALID),
        ({"idempotency_key": "another"}, R.PAYMENT_ID_MISMATCH),
    ],
)
def test_a_create_that_makes_no_sense_is_refused(story: Any, fields: Any, reason: str) -> None:
    assert story.create(**fields) == [E.COMMAND_REJECTED]
    assert (story.reason, story.status, story.requests) == (reason, "new", [])


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_minor": 10**15},
        {"amount_minor": 1},
        {"fee_basis_points": 10_000, "fee_fixed_minor": 10**15},
        {"capture_delay_seconds": 6 * 86_400},
    ],
)
def test_the_smallest_and_largest_values_are_taken(story: Any, fields: Any) -> None:
    assert story.create(**fields) == [E.CREATED]


def test_three_d_secure_asks_with_the_same_key_and_the_next_attempt(story: Any) -> None:
    story.create()
    story.result("requires_action", action_url="https://acs.example/1", network_reference="n1")
    assert (story.status, story.state.action_url) == ("requires_action", "https://acs.example/1")
    assert story.tell("complete_action") == [E.ACTION_COMPLETED]
    question = story.requests[-1]
    assert question.operation_id == story.requests[0].operation_id
    assert (question.operation, question.subject_operation, question.attempt) == (
        "status",
        "authorize",
        2,
    )
    assert story.result("approved", attempt=2) == [E.AUTHORIZED, E.CAPTURE_REQUESTED]
    assert story.state.action_url is None


def test_a_customer_who_is_not_done_gets_no_more_time(story: Any) -> None:
    story.create()
    story.result("requires_action")
    due_at_ms = story.state.action_due_at_ms
    story.tell("complete_action")
    assert story.result("requires_action", attempt=2) == [E.REQUIRES_ACTION]
    assert story.state.action_due_at_ms == due_at_ms
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    assert story.result("requires_action", attempt=3) == [E.FAILED]
    assert (story.status, story.reason) == ("failed", "action_timed_out")


def test_a_customer_who_succeeds_and_never_comes_back_has_paid(story: Any) -> None:
    """The network is asked once when the time is over; until then nobody knew of the hold."""
    story.create()
    story.result("requires_action")
    assert story.deadline() == [E.RESOLUTION_REQUESTED]
    question = story.requests[-1]
    assert (question.operation, question.subject_operation) == ("status", "authorize")
    assert story.result("approved", attempt=2) == [E.AUTHORIZED, E.CAPTURE_REQUESTED]


def test_a_void_while_the_customer_is_away_ends_the_payment(story: Any) -> None:
    story.create()
    story.result("requires_action", action_url="https://acs.example/1", network_reference="net_1")
    asked = len(story.requests)
    assert story.tell("void") == [E.VOIDED]
    assert (story.status, story.state.action_url, len(story.requests)) == ("voided", None, asked)
    assert story.tell("complete_action") == [E.COMMAND_REJECTED]
    assert story.result("approved") == [E.REVERSAL_REQUESTED], "a late yes is reversed"
    assert (story.requests[-1].operation, story.requests[-1].network_reference) == ("void", "net_1")
    assert story.status == "voided"


def test_failed_authentication_declines(story: Any) -> None:
    story.create()
    story.result("requires_action")
    story.tell("complete_action")
    assert story.result("declined", attempt=2, decline_code="authentication_failed") == [E.DECLINED]
    assert story.state.decline_code == "authentication_failed"


def test_background_capture_waits_for_its_delay(story: Any) -> None:
    story.create(capture_delay_seconds=3600)
    assert story.result("approved") == [E.AUTHORIZED]
    early = story.command("capture_due")
    assert [event.reason for event in story.send(early).events] == [R.NOT_DUE]
    due = next_due(story.state)
    assert due is not None
    assert (due.kind, due.at_ms) == ("capture_due", story.events[1].occurred_at_ms + 3_600_000)
    command = deadline_command(story.state, due.at_ms)
    assert command is not None
    assert [event.type for event in story.send(command).events] == [E.CAPTURE_REQUESTED]
    assert story.send(command).events == (), "fired twice, one effect"


def test_a_void_ends_the_wait_for_a_background_capture(story: Any) -> None:
    story.create(capture_delay_seconds=3600)
    story.result("approved")
    story.tell("void")
    story.result("failed", "void")
    assert story.status == "authorized"
    assert next_due(story.state).kind == "expire"


def test_several_captures_and_the_fee(story: Any) -> None:
    story.authorized(fee_basis_points=150, fee_fixed_minor=25)
    story.tell("capture", amount_minor=400)
    story.result("approved", "capture", 1)
    assert (story.status, story.state.fees_minor) == ("partially_captured", 6 + 25)
    story.tell("capture")
    assert story.requests[-1].amount_minor == 600
    story.result("approved", "capture", 2)
    assert (story.status, story.state.captured_minor) == ("captured", 1000)
    assert (story.events[-1].fee_minor, story.state.fees_minor) == (9, 40)


def test_a_fee_is_never_above_the_captured_amount(story: Any) -> None:
    story.captured(amount_minor=10, fee_basis_points=150, fee_fixed_minor=25)
    assert story.state.fees_minor == 10


def test_a_final_capture_releases_the_rest(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400, final=True)
    story.result("approved", "capture")
    assert (story.status, story.state.authorized_minor) == ("captured", 400)
    assert story.tell("capture", amount_minor=1) == [E.COMMAND_REJECTED]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount_minor": 1001}, R.AMOUNT_TOO_LARGE),
        ({"amount_minor": 0}, R.AMOUNT_INVALID),
        ({"amount_minor": 5, "currency": "USD"}, R.CURRENCY_INVALID),
    ],
)
def test_captures_that_are_refused(story: Any, fields: Any, reason: str) -> None:
    story.authorized().tell("capture", **fields)
    assert (story.reason, story.status) == (reason, "authorized")


@pytest.mark.parametrize(
    ("outcome", "said", "told"),
    [
        ("declined", {"decline_code": "lost_card"}, ("lost_card", None)),
        ("declined", {"reason": "51"}, ("generic_decline", "51")),
        ("failed", {"decline_code": "try_later"}, (None, "try_later")),
        ("failed", {"reason": "busy", "decline_code": "try_later"}, (None, "busy")),
    ],
)
def test_why_a_capture_was_not_done_is_reported(
    story: Any, outcome: str, said: Any, told: tuple[str | None, str | None]
) -> None:
    story.authorized().tell("capture")
    assert story.result(outcome, "capture", **said) == [E.CAPTURE_FAILED]
    assert (story.events[-1].decline_code, story.events[-1].reason) == told
    assert story.state.operations[-1].status == outcome


def test_a_declined_capture_can_be_tried_again_under_a_new_key(story: Any) -> None:
    story.create()
    story.result("approved")
    assert story.result("declined", "capture", decline_code="generic_decline") == [E.CAPTURE_FAILED]
    assert story.status == "authorized"
    assert story.tell("capture") == [E.CAPTURE_REQUESTED]
    assert story.requests[-1].operation_id.endswith(":capture:2")


def test_void_of_the_rest_keeps_what_was_captured(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture")
    story.tell("void")
    assert story.requests[-1].amount_minor == 600
    assert story.result("approved", "void") == [E.VOIDED]
    assert (story.status, story.state.authorized_minor) == ("captured", 400)


def test_an_authorization_that_nobody_captured_expires(story: Any) -> None:
    story.authorized()
    assert next_due(story.state).at_ms == story.events[-1].occurred_at_ms + 7 * DAY_MS
    assert story.tell("expire") == [E.COMMAND_REJECTED]
    assert story.reason == R.NOT_DUE
    assert story.deadline() == [E.EXPIRED]
    assert (story.status, story.state.authorized_minor) == ("expired", 0)


def test_what_was_captured_survives_the_expiry(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture")
    story.now_ms = next_due(story.state).at_ms
    assert story.tell("expire") == [E.EXPIRED]
    assert (story.status, story.events[-1].amount_minor) == ("captured", 600)


def test_refunds_never_exceed_what_was_captured(story: Any) -> None:
    story.captured()
    assert story.tell("refund", amount_minor=600) == [E.REFUND_REQUESTED]
    story.tell("refund", amount_minor=500)
    assert story.reason == R.AMOUNT_TOO_LARGE, "the refund in flight counts"
    assert story.result("approved", "refund", 1) == [E.REFUND_SUCCEEDED]
    assert story.tell("refund") == [E.REFUND_REQUESTED]
    assert story.requests[-1].amount_minor == 400
    story.result("approved", "refund", 2)
    story.tell("refund")
    assert (story.reason, story.state.refunded_minor) == (R.AMOUNT_TOO_LARGE, 1000)
    assert story.status == "captured"


def test_a_failed_refund_gives_its_amount_free_again(story: Any) -> None:
    story.captured().tell("refund")
    assert story.result("declined", "refund") == [E.REFUND_FAILED]
    assert story.tell("refund") == [E.REFUND_REQUESTED]


def test_a_refund_id_is_derived_and_unique(story: Any) -> None:
    story.captured().tell("refund", amount_minor=1)
    derived = story.events[-1].refund_id
    assert derived.startswith("ref_")
    story.tell("refund", amount_minor=1, refund_id=derived)
    assert story.reason == R.ALREADY_EXISTS


def test_two_refunds_in_flight_are_distinguished(story: Any) -> None:
    story.captured().tell("refund", amount_minor=100)
    story.tell("refund", amount_minor=200)
    story.result("unknown", "refund", 1)
    assert story.status == "unknown"
    assert story.result("approved", "refund", 2) == [E.REFUND_SUCCEEDED]
    assert (story.status, story.state.refunded_minor) == ("unknown", 200)
    assert story.result("approved", "refund", 1) == [E.REFUND_SUCCEEDED]
    assert (story.status, story.state.refunded_minor) == ("captured", 300)


def test_settled_money_can_be_refunded(story: Any) -> None:
    story.captured()
    assert story.tell("settle") == [E.SETTLED]
    story.tell("refund", amount_minor=1)
    story.result("approved", "refund")
    assert story.status == "settled"


def test_a_dispute_holds_the_money_until_it_is_won(story: Any) -> None:
    story.captured()
    assert story.tell("open_dispute", amount_minor=700, dispute_id="dsp_1") == [E.DISPUTE_OPENED]
    story.tell("refund", amount_minor=400)
    assert story.reason == R.AMOUNT_TOO_LARGE
    story.tell("win_dispute", dispute_id="dsp_9")
    assert story.reason == R.NO_SUCH_DISPUTE
    assert story.tell("win_dispute", dispute_id="dsp_1") == [E.DISPUTE_WON]
    assert story.tell("refund") == [E.REFUND_REQUESTED]
    assert story.requests[-1].amount_minor == 1000


def test_a_lost_dispute_keeps_the_money(story: Any) -> None:
    story.captured().tell("open_dispute", dispute_id="dsp_1")
    assert story.tell("lose_dispute", dispute_id="dsp_1") == [E.DISPUTE_LOST]
    story.tell("refund")
    assert story.reason == R.AMOUNT_TOO_LARGE
    story.tell("open_dispute", dispute_id="dsp_1")
    assert story.reason == R.ALREADY_EXISTS


def test_the_fee_is_that_of_the_captured_sum_in_however_many_parts(new_story: Any) -> None:
    """100.00 in 0.01 and 99.99 costs what 100.00 costs, and 3.30 in ten parts what 3.30 costs."""
    two = new_story().authorized(amount_minor=10_000, fee_basis_points=150, fee_fixed_minor=25)
    ten = new_story().authorized(amount_minor=330, fee_basis_points=150)
    for story, parts in ((two, [1, 9_999]), (ten, [33] * 10)):
        for number, amount_minor in enumerate(parts, 1):
            story.tell("capture", amount_minor=amount_minor)
            story.result("approved", "capture", number)
    assert (two.state.fees_minor, ten.state.fees_minor) == (175, 5)


def test_people_s_commands_are_bounded_and_results_still_arrive(story: Any) -> None:
    story.create()
    for number in range(COMMANDS_REMEMBERED_MAX):
        story.tell("void", name=str(number))
    assert story.reason == R.TOO_MANY_COMMANDS
    assert len(story.state.client_commands) == COMMANDS_REMEMBERED_MAX
    assert story.result("approved") == [E.AUTHORIZED, E.CAPTURE_REQUESTED]


def test_a_missing_event_is_noticed(story: Any) -> None:
    story.captured()
    with pytest.raises(SequenceGap, match="event 3 came after event 1"):
        evolve(evolve(None, story.events[0]), story.events[2])


def test_the_state_of_another_payment_is_not_touched(
    story: Any, new_story: Callable[..., Any]
) -> None:
    story.create()
    command = new_story(key="order-2").command("capture")
    with pytest.raises(ValueError, match="came with the state of"):
        story.send(command)


def test_a_state_survives_its_encoding(story: Any) -> None:
    story.captured(reference="basket", return_url="https://shop.example")
    story.tell("refund", amount_minor=5)
    story.tell("open_dispute", amount_minor=7)
    assert decode_state(encode_state(story.state)) == story.state
    assert len(encode_state(story.state)) < 1200


def test_the_policy_sets_the_deadlines(new_story: Callable[..., Any]) -> None:
    story = new_story(policy=Policy(authorization_valid_seconds=60)).authorized()
    assert next_due(story.state).at_ms == story.events[-1].occurred_at_ms + 60_000


def test_money_that_the_network_does_not_pay_is_overdue_once(story: Any) -> None:
    story.captured()
    due = next_due(story.state)
    assert due.kind == "settlement_due"
    assert due.at_ms == story.events[-1].occurred_at_ms + 5 * DAY_MS
    assert story.tell("settlement_due") == [E.COMMAND_REJECTED]
    assert story.reason == R.NOT_DUE
    command = deadline_command(story.state, due.at_ms)
    assert [event.type for event in story.send(command).events] == [E.SETTLEMENT_OVERDUE]
    assert (story.status, story.events[-1].amount_minor) == ("captured", 1000)
    assert story.send(command).events == (), "fired twice, told once"
    assert next_due(story.state) is None
    assert story.tell("settlement_due") == [E.COMMAND_REJECTED]
    assert story.tell("settle") == [E.SETTLED]


def test_settled_money_is_not_overdue(story: Any) -> None:
    story.captured().tell("settle")
    assert (story.state.settlement_due_at_ms, next_due(story.state)) == (None, None)
    assert story.state.settled_at_ms == story.events[-1].occurred_at_ms


def test_the_last_capture_sets_the_settlement_date(story: Any) -> None:
    story.authorized().tell("capture", amount_minor=400)
    story.result("approved", "capture", 1)
    assert next_due(story.state).kind == "expire", "not overdue while it may still be captured"
    story.now_ms += DAY_MS
    story.tell("capture")
    story.result("approved", "capture", 2)
    assert next_due(story.state).at_ms == story.events[-1].occurred_at_ms + 5 * DAY_MS
