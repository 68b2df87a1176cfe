"""The one JSON shape of a payment."""

from typing import Any

import msgspec

from schemas.public_view import is_idempotency_mismatch, is_unknown_payment, public_view
from schemas.records import PaymentEvent

CREATED = PaymentEvent(
    event_id="pay_1-1",
    payment_id="pay_1",
    merchant_id="mer_1",
    mode="test",
    sequence=1,
    type="payment.created",
    status="authorizing",
    command_id="cmd_1",
    command_kind="create",
    fingerprint="f1",
    occurred_at_ms=1_000,
    source="api",
    currency="EUR",
    amount_minor=500,
    fee_minor=0,
    requested_minor=500,
    authorized_minor=0,
    captured_minor=0,
    refunded_minor=0,
    fees_minor=0,
    capture_method="manual",
    fee_basis_points=0,
    fee_fixed_minor=0,
)
CONTRACT = {
    "id",
    "merchant_id",
    "mode",
    "status",
    "amount",
    "currency",
    "amount_authorized",
    "amount_captured",
    "amount_refunded",
    "fees",
    "capture_method",
    "reference",
    "decline_code",
    "action_url",
    "sequence",
    "created_at_ms",
    "updated_at_ms",
    "fingerprint",
    "last_command",
}


def event(sequence: int, **changes: Any) -> PaymentEvent:
    return msgspec.structs.replace(
        CREATED, event_id=f"pay_1-{sequence}", sequence=sequence, fingerprint="f2", **changes
    )


def test_it_has_the_fields_of_the_contract() -> None:
    assert set(public_view(CREATED)) == CONTRACT
    assert set(public_view(event(2), public_view(CREATED))) == CONTRACT


def test_creation_time_and_fingerprint_stay_those_of_the_create_request() -> None:
    view = public_view(CREATED)
    later = event(2, type="payment.declined", status="declined", occurred_at_ms=2_000)
    view = public_view(later, view)
    assert (view["created_at_ms"], view["updated_at_ms"]) == (1_000, 2_000)
    assert view["fingerprint"] == "f1"


def test_without_the_view_before_they_are_unknown() -> None:
    view = public_view(event(2, type="payment.voided", status="voided"))
    assert (view["created_at_ms"], view["fingerprint"]) == (None, None)


def test_a_rejected_command_leaves_the_payment_as_it_was_but_says_so() -> None:
    declined = public_view(
        event(2, type="payment.declined", status="declined", decline_code="expired_card")
    )
    refused = event(
        3,
        type="command.rejected",
        status="declined",
        reason="wrong_state",
        command_id="cmd_9",
        occurred_at_ms=9_000,
    )
    view = public_view(refused, declined)
    assert view["decline_code"] == "expired_card"
    assert (view["sequence"], view["updated_at_ms"]) == (3, 1_000)
    assert view["last_command"] == {"id": "cmd_9", "result": "rejected", "reason": "wrong_state"}


def test_another_body_under_a_used_key_says_nothing_about_the_first_command() -> None:
    refused = event(2, type="command.rejected", reason="idempotency_mismatch")
    assert is_idempotency_mismatch(refused)
    view = public_view(refused, public_view(CREATED))
    assert view["last_command"] == {"id": "cmd_1", "result": "applied", "reason": None}
    assert view["fingerprint"] == "f1"


def test_a_command_to_a_payment_that_does_not_exist_makes_no_view() -> None:
    assert is_unknown_payment(event(1, type="command.rejected", reason="no_such_payment"))
    assert not is_unknown_payment(event(1, type="command.rejected", reason="wrong_state"))
    assert not is_unknown_payment(CREATED)
