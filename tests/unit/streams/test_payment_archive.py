"""Which payments may leave the table, when, and how their history is checked when they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import ids
from schemas.enums import PaymentStatus
from streams.domain import PaymentState, Policy, next_due
from streams.domain.archive import (
    ARCHIVABLE_STATUSES,
    ArchivedPayment,
    archive_command,
    archive_due_at_ms,
    archive_stub,
    digest,
    rehydrate,
)
from streams.domain.history_codec import HistoryMismatch
from streams.domain.state import DisputeState, OperationState, SeenCommand

POLICY = Policy()
HALF_A_YEAR_MS = 180 * 86_400_000


def at_rest(story: Any) -> PaymentState:
    """A payment that was captured and paid out."""
    story.captured().tell("settle")
    state: PaymentState = story.state
    return state


def test_a_payment_at_rest_may_leave_half_a_year_after_its_last_change(story: Any) -> None:
    state = at_rest(story)
    assert archive_due_at_ms(state, POLICY) == state.updated_at_ms + HALF_A_YEAR_MS
    hour = Policy(archive_after_seconds=3600)
    assert archive_due_at_ms(state, hour) == state.updated_at_ms + 3_600_000


def test_every_end_of_a_payment_is_at_rest() -> None:
    assert set(ARCHIVABLE_STATUSES) == {
        PaymentStatus.NEW,
        PaymentStatus.CAPTURED,
        PaymentStatus.SETTLED,
        PaymentStatus.VOIDED,
        PaymentStatus.EXPIRED,
        PaymentStatus.DECLINED,
        PaymentStatus.FAILED,
    }


def test_a_payment_that_waits_for_its_merchant_stays(story: Any) -> None:
    story.authorized()
    assert archive_due_at_ms(replace(story.state, expires_at_ms=None), POLICY) is None


def test_captured_money_stays_until_it_is_settled_or_reported_overdue(story: Any) -> None:
    story.captured()
    assert next_due(story.state) is not None
    assert archive_due_at_ms(story.state, POLICY) is None
    story.deadline()
    assert story.status == "captured"
    assert archive_due_at_ms(story.state, POLICY) == story.state.updated_at_ms + HALF_A_YEAR_MS


def test_a_refund_in_flight_keeps_the_payment_even_when_nobody_asks_any_more(story: Any) -> None:
    at_rest(story)
    story.tell("refund", amount_minor=10)
    *done, refund = story.state.operations
    silent = replace(story.state, operations=(*done, replace(refund, due_at_ms=None)))
    assert next_due(silent) is None
    assert archive_due_at_ms(silent, POLICY) is None
    story.result("approved", "refund")
    assert archive_due_at_ms(story.state, POLICY) is not None


def test_an_open_dispute_keeps_the_payment_and_its_end_lets_it_go(story: Any) -> None:
    at_rest(story)
    story.tell("open_dispute", dispute_id="dsp_1", amount_minor=1)
    assert archive_due_at_ms(story.state, POLICY) is None
    story.tell("lose_dispute", dispute_id="dsp_1")
    assert archive_due_at_ms(story.state, POLICY) is not None


def test_the_command_comes_at_its_time_and_not_before(story: Any) -> None:
    state = at_rest(story)
    due_at_ms = state.updated_at_ms + HALF_A_YEAR_MS
    assert archive_command(state, due_at_ms - 1, POLICY) is None
    command = archive_command(state, due_at_ms, POLICY)
    assert command is not None
    assert (command.payment_id, command.merchant_id, command.mode) == (
        state.payment_id,
        "mer_1",
        "test",
    )
    assert (command.kind, command.source) == ("archive", "archive")
    assert command.issued_at_ms == due_at_ms
    subject = f"5@{due_at_ms}"
    assert command.command_id == ids.command_id(state.payment_id, "archive", subject)
    assert command.fingerprint == ids.fingerprint({"kind": "archive", "subject": subject})


def test_the_command_is_the_same_whenever_it_is_sent_and_another_after_a_change(
    story: Any,
) -> None:
    state = at_rest(story)
    due_at_ms = state.updated_at_ms + HALF_A_YEAR_MS
    first, later = (archive_command(state, due_at_ms + wait, POLICY) for wait in (0, 99))
    assert first is not None
    assert later is not None
    assert (first.command_id, first.fingerprint) == (later.command_id, later.fingerprint)
    story.tell("capture")
    changed = archive_command(story.state, due_at_ms + HALF_A_YEAR_MS, POLICY)
    assert changed is not None
    assert changed.command_id != first.command_id
    assert changed.fingerprint != first.fingerprint


def test_there_is_no_command_for_a_payment_that_stays(story: Any) -> None:
    story.create()
    assert archive_command(story.state, 1 << 60, POLICY) is None


def test_the_stub_says_whose_payment_it_was_and_how_it_stood(story: Any) -> None:
    state = at_rest(story)
    assert archive_stub(state) == ArchivedPayment(
        merchant_id="mer_1", mode="test", sequence=5, status="settled", digest=digest(state)
    )


def test_a_digest_of_this_release_is_that_of_every_release(new_story: Any) -> None:
    """Markers in tables were made with it: another digest would refuse every history."""
    story = new_story(key="pinned")
    story.create(reference="basket 7", return_url="https://shop.example", fee_basis_points=140)
    story.result("approved", network_reference="net_1")
    story.result("approved", "capture")
    story.tell("settle", name="report 1")
    story.tell("refund", name="r", amount_minor=300, refund_id="ref_1")
    story.result("declined", "refund", decline_code="generic_decline")
    story.tell("open_dispute", name="d", amount_minor=5, dispute_id="dsp_1")
    assert digest(story.state).hex() == "49e387a96f99bddbe407a3bc373da806"


OPERATION = OperationState("refund", 1, 100, 1, "approved", 5, None, "ref_1", False, "net_1")
FULL = PaymentState(
    payment_id="pay_1",
    merchant_id="mer_1",
    mode="test",
    status="settled",
    sequence=7,
    currency="EUR",
    operations=(OPERATION,),
    disputes=(DisputeState("dsp_1", 10, "won"),),
    client_commands=(SeenCommand("cmd_1", "f" * 32),),
)
TOLD: list[dict[str, Any]] = [
    {"payment_id": "pay_2"},
    {"merchant_id": "mer_2"},
    {"mode": "live"},
    {"status": "captured"},
    {"sequence": 8},
    {"currency": "USD"},
    *({f"{name}_minor": 1} for name in ("requested", "authorized", "captured", "refunded")),
    *({name: 1} for name in ("fees_minor", "fee_basis_points", "fee_fixed_minor")),
    {"capture_method": "manual"},
    {"capture_delay_seconds": 1},
    *({name: "x"} for name in ("idempotency_key", "reference", "return_url", "decline_code")),
    *({name: "x"} for name in ("network_reference", "network", "create_fingerprint")),
    *({f"{name}_at_ms": 1} for name in ("created", "updated", "settled")),
    {"operations": (OPERATION, OPERATION)},
    *(
        {"operations": (replace(OPERATION, **change),)}
        for change in (
            {"operation": "capture"},
            {"number": 2},
            {"amount_minor": 101},
            {"attempt": 2},
            {"status": "failed"},
            {"final": True},
            {"refund_id": "ref_2"},
            {"network_reference": None},
        )
    ),
    {"disputes": (DisputeState("dsp_2", 10, "won"),)},
    {"disputes": (DisputeState("dsp_1", 11, "won"),)},
    {"disputes": (DisputeState("dsp_1", 10, "lost"),)},
    {"client_commands": (SeenCommand("cmd_2", "f" * 32),)},
    {"client_commands": (SeenCommand("cmd_1", "e" * 32),)},
    {"client_commands": (SeenCommand("cmd_1", "f" * 32, "not_due"),)},
]


@pytest.mark.parametrize("change", TOLD, ids=range(len(TOLD)))
def test_every_fact_that_a_decision_depends_on_is_in_the_digest(change: dict[str, Any]) -> None:
    assert digest(replace(FULL, **change)) != digest(FULL)


def test_two_facts_do_not_change_places_unseen() -> None:
    one, other = (replace(FULL, **{name: "x"}) for name in ("reference", "idempotency_key"))
    assert digest(one) != digest(other)


def test_the_memory_of_our_own_commands_is_not_in_the_digest() -> None:
    assert digest(replace(FULL, system_commands=(SeenCommand("cmd_9", "f"),))) == digest(FULL)


def test_the_digest_has_128_bits() -> None:
    assert len(digest(FULL)) == 16


def test_a_history_brings_back_the_state_that_left(story: Any) -> None:
    state = at_rest(story)
    assert rehydrate(story.payment_id, archive_stub(state), story.events) == state


def test_a_history_of_fewer_or_more_events_is_refused(story: Any) -> None:
    stub = archive_stub(at_rest(story))
    story.tell("capture")
    for events, count in ((story.events[:4], 4), (story.events, 6), ([], 0)):
        with pytest.raises(HistoryMismatch, match=rf"^{count} events came, the payment had 5$"):
            rehydrate(story.payment_id, stub, events)


def test_a_history_with_a_gap_or_out_of_order_is_refused(story: Any) -> None:
    stub = archive_stub(at_rest(story))
    first, second, *rest = story.events
    for events in ([first, *rest], [second, first, *rest], [first, first, second, *rest]):
        with pytest.raises(HistoryMismatch, match=r"event \d came after event \d$"):
            rehydrate(story.payment_id, stub, events)


def test_an_event_of_another_payment_is_refused(story: Any, new_story: Callable[..., Any]) -> None:
    stub = archive_stub(at_rest(story))
    other = new_story(key="order-2")
    at_rest(other)
    events = [*story.events[:-1], other.events[-1]]
    with pytest.raises(
        HistoryMismatch, match=rf"^event {other.events[-1].event_id} is of another payment$"
    ):
        rehydrate(story.payment_id, stub, events)


def test_an_event_that_cannot_be_applied_is_refused(story: Any) -> None:
    stub = archive_stub(at_rest(story))
    strange = replace(story.events[0], operation_id="not:a:number")
    with pytest.raises(HistoryMismatch, match="invalid literal"):
        rehydrate(story.payment_id, stub, [strange, *story.events[1:]])


def test_events_that_lead_elsewhere_are_refused(story: Any) -> None:
    stub = archive_stub(at_rest(story))
    *before, last = story.events
    forged = replace(last, captured_minor=7)
    with pytest.raises(
        HistoryMismatch, match=r"^the events lead to another state than the payment had$"
    ):
        rehydrate(story.payment_id, stub, [*before, forged])


def test_a_payment_that_was_only_spoken_of_comes_back_too(story: Any) -> None:
    story.tell("capture")
    assert story.status == "new"
    assert archive_due_at_ms(story.state, POLICY) is not None
    assert rehydrate(story.payment_id, archive_stub(story.state), story.events) == story.state
