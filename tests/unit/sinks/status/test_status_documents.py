"""The documents of a batch of events."""

import json
from typing import Any

from schemas.records import PaymentEvent
from sinks.status.documents import Document, outcomes, views

KEY = "payment:pay_1"


def event(sequence: int, **changes: Any) -> PaymentEvent:
    fields: dict[str, Any] = {
        "event_id": f"pay_1-{sequence}",
        "payment_id": "pay_1",
        "merchant_id": "mer_1",
        "mode": "test",
        "sequence": sequence,
        "type": "payment.created" if sequence == 1 else "payment.authorized",
        "status": "authorizing" if sequence == 1 else "authorized",
        "command_id": f"cmd_{sequence}",
        "command_kind": "create",
        "fingerprint": f"f{sequence}",
        "occurred_at_ms": sequence,
        "source": "api",
        "currency": "EUR",
        "amount_minor": 5,
        "fee_minor": 0,
        "requested_minor": 5,
        "authorized_minor": 0,
        "captured_minor": 0,
        "refunded_minor": 0,
        "fees_minor": 0,
        "capture_method": "manual",
        "fee_basis_points": 0,
        "fee_fixed_minor": 0,
    }
    return PaymentEvent(**(fields | changes))


def content(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document.text)
    return found


def test_several_events_of_a_payment_make_one_document() -> None:
    [document] = views([event(1), event(2)], {})
    assert (document.key, document.sequence) == (KEY, 2)
    assert content(document)["status"] == "authorized"
    assert content(document)["fingerprint"] == "f1"


def test_what_stands_in_the_store_is_carried_on() -> None:
    [first] = views([event(1)], {})
    [second] = views([event(2)], {KEY: first.text})
    assert content(second)["created_at_ms"] == 1


def test_events_that_the_store_has_change_nothing() -> None:
    [stored] = views([event(1), event(2)], {})
    assert views([event(1), event(2)], {KEY: stored.text}) == []
    [third] = views([event(1), event(2), event(3)], {KEY: stored.text})
    assert third.sequence == 3


def test_an_unreadable_document_is_replaced() -> None:
    [document] = views([event(1)], {KEY: b"not json"})
    assert document.sequence == 1


def test_a_command_to_nothing_has_an_outcome_but_no_view() -> None:
    refused = event(1, type="command.rejected", reason="no_such_payment")
    assert views([refused], {}) == []
    [outcome] = outcomes([refused])
    assert content(outcome)["result"] == "rejected"


def test_outcomes_are_kept_of_clients_commands_only() -> None:
    found = outcomes(
        [
            event(1),
            event(2, source="network"),
            event(3, source="deadlines"),
            event(4, source="operator", type="command.rejected", reason="wrong_state"),
        ]
    )
    assert [(d.key, content(d)["result"]) for d in found] == [
        ("command:cmd_1", "applied"),
        ("command:cmd_4", "rejected"),
    ]


def test_another_body_under_a_used_key_leaves_the_outcome_of_the_first() -> None:
    refused = event(
        2,
        type="command.rejected",
        reason="idempotency_mismatch",
        command_id="cmd_1",
        fingerprint="other",
    )
    [outcome] = outcomes([event(1), refused])
    assert (content(outcome)["result"], content(outcome)["fingerprint"]) == ("applied", "f1")


def test_a_text_that_is_no_view_is_replaced() -> None:
    for odd in (b"", b"[]", b"1", b"{}", b'{"sequence":"9"}', b'{"sequence":null}', b"[" * 9_000):
        [document] = views([event(1)], {KEY: odd})
        assert (document.sequence, content(document)["status"]) == (1, "authorizing")
