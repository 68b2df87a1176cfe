"""Single steps of the matching that the laws do not name."""

from __future__ import annotations

import msgspec
import pytest
from properties.reconciliation_model import (
    DAY_MS,
    NOON_MS,
    Model,
    booking,
    payment_event,
    settlement_line,
    summed,
)

from schemas.records import ReconciliationRequest
from sinks.reconciliation.matching.retention import retained_until_ms

CAPTURE = "pay_1:capture:1"


def paid_model(gross_minor: int = 1000) -> Model:
    """One captured payment, its line, the deposit."""
    model = Model()
    model.take(payment_event("pay_1", 1))
    [line] = summed([settlement_line("l1", CAPTURE, gross_minor=gross_minor)])
    model.take(line)
    model.take(booking("d1", "set_1", line.report_net_minor))
    model.drain()
    return model


def posted(model: Model) -> list[str]:
    return [event.type for event in model.events if not event.type.startswith("deposit.")]


def decide(model: Model, state: str, **changes: str) -> None:
    found = next(event for event in model.events if event.break_id)
    request = ReconciliationRequest(
        request_id="r",
        subject_id=found.subject_id,
        kind="decide",
        issued_at_ms=NOON_MS + 9 * DAY_MS,
        source="operator",
        operation_id=found.operation_id,
        break_id=found.break_id,
        break_state=state,
        actor="ada",
        reason="why",
    )
    model.ask(msgspec.structs.replace(request, **changes))
    model.drain()


def test_a_matched_line_is_settled_when_the_bank_has_the_money_and_so_is_the_payment() -> None:
    model = Model()
    model.take(payment_event("pay_1", 1))
    [line] = summed([settlement_line("l1", CAPTURE)])
    model.take(line)
    model.drain()
    assert (model.events, model.commands) == ([], [])
    model.take(booking("d1", "set_1", line.report_net_minor))
    model.drain()
    assert posted(model) == ["line.settled"]
    [command] = model.commands
    assert (command.payment_id, command.kind, command.source) == (
        "pay_1",
        "settle",
        "reconciliation",
    )


def test_a_payment_that_may_be_captured_further_is_settled_later() -> None:
    model = Model()
    model.take(payment_event("pay_1", 1, status="partially_captured"))
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        model.take(fact)
    model.drain()
    assert (posted(model), model.commands) == (["line.settled"], [])
    model.take(payment_event("pay_1", 2, type="payment.expired"))
    assert len(model.commands) == 1


def test_a_settle_command_that_was_refused_is_sent_again_under_another_id() -> None:
    model = paid_model()
    refused = {"type": "command.rejected", "command_kind": "settle", "source": "reconciliation"}
    model.take(payment_event("pay_1", 2, status="unknown", **refused))
    assert len(model.commands) == 1
    model.take(payment_event("pay_1", 3, type="refund.failed"))
    assert len({command.command_id for command in model.commands}) == 2
    model.take(payment_event("pay_1", 4, type="payment.settled", source="reconciliation"))
    model.take(payment_event("pay_1", 5, type="dispute.opened"))
    assert len(model.commands) == 2


def test_another_amount_waits_in_suspense_until_a_person_accepts_it() -> None:
    model = paid_model(gross_minor=900)
    assert posted(model) == ["break.opened", "line.suspended"]
    decide(model, "acknowledged")
    assert model.commands == []
    decide(model, "written_off")
    assert posted(model)[2:] == [
        "break.changed",
        "break.changed",
        "line.reclassified",
        "difference.written_off",
    ]
    assert model.events[-2].corrects == model.events[2].event_id
    assert model.balances()["network_cost", "EUR"] == 100 + 12
    assert len(model.commands) == 1


@pytest.mark.parametrize(
    ("state", "changes", "why"),
    [
        ("open", {}, "open cannot become open"),
        ("resolved", {"actor": ""}, "an actor and a reason"),
        ("resolved", {"reason": ""}, "an actor and a reason"),
        ("resolved", {"break_id": "brk_none"}, "no such break"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_with_its_reason(
    state: str, changes: dict[str, str], why: str
) -> None:
    model = paid_model(gross_minor=900)
    decide(model, state, **changes)
    assert model.events[-1].type == "decision.refused"
    assert why in (model.events[-1].reason or "")


def test_money_that_is_reported_after_it_was_written_off_is_one_too_many() -> None:
    model = Model()
    model.take(payment_event("pay_1", 1))
    model.look(NOON_MS + 4 * DAY_MS)
    decide(model, "written_off")
    assert model.balances() == {("network_cost", "EUR"): 1000, ("network_receivable", "EUR"): -1000}
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        model.take(fact)
    model.drain()
    assert posted(model)[-1] == "line.suspended"
    assert [kind for _, kind, _ in model.breaks().values()] == ["duplicate"]


def test_what_somebody_else_settled_is_taken_back_where_lines_post_it() -> None:
    """payment.settled of another source has posted bank clearing +1000 (mapping.py)."""
    model = Model()
    model.take(payment_event("pay_1", 1))
    model.take(payment_event("pay_1", 2, type="payment.settled", status="settled"))
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        model.take(fact)
    model.drain()
    assert posted(model) == ["line.settled", "settlement.corrected"]
    assert model.events[-1].corrects == "pay_1-2"
    assert model.balances() == {("bank_clearing", "EUR"): 988 - 1000, ("network_cost", "EUR"): 12}
    assert model.commands == []


def test_a_line_that_comes_again_with_other_contents_is_one_too_many() -> None:
    model = paid_model()
    [line] = summed([settlement_line("l1", CAPTURE, gross_minor=999)])
    for _ in range(2):
        model.take(line)
        model.drain()
    assert [kind for _, kind, _ in model.breaks().values()] == ["duplicate"]
    assert posted(model).count("line.settled") == 1


def test_what_is_done_is_forgotten_and_what_is_open_is_not() -> None:
    model = paid_model()
    payment = model.table["payment:pay_1"]
    assert retained_until_ms(payment, model.policy) is None
    model.take(payment_event("pay_1", 2, type="payment.settled", source="reconciliation"))
    for key in ("payment:pay_1", "report:set_1", "line:l1"):
        assert retained_until_ms(model.table[key], model.policy) is not None
    assert retained_until_ms(paid_model(gross_minor=1).table["payment:pay_1"], model.policy) is None
