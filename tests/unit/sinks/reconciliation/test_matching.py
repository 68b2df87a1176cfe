"""Single steps of the matching that the laws do not name."""

from __future__ import annotations

import msgspec
import pytest
from properties.reconciliation_model import (
    DAY_MS,
    NOON_MS,
    House,
    booking,
    payment_event,
    settlement_line,
    summed,
)

from schemas.records import ReconciliationRequest
from sinks.reconciliation.matching.retention import retained_until_ms

CAPTURE = "pay_1:capture:1"


def paid_house(gross_minor: int = 1000) -> House:
    """One captured payment, its line, the deposit."""
    house = House()
    house.take(payment_event("pay_1", 1))
    [line] = summed([settlement_line("l1", CAPTURE, gross_minor=gross_minor)])
    house.take(line)
    house.take(booking("d1", "set_1", line.report_net_minor))
    house.drain()
    return house


def posted(house: House) -> list[str]:
    return [event.type for event in house.events if not event.type.startswith("deposit.")]


def decide(house: House, state: str, **changes: str) -> None:
    found = next(event for event in house.events if event.break_id)
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
    house.ask(msgspec.structs.replace(request, **changes))
    house.drain()


def test_a_matched_line_is_settled_when_the_bank_has_the_money_and_the_payment_is_told() -> None:
    house = House()
    house.take(payment_event("pay_1", 1))
    [line] = summed([settlement_line("l1", CAPTURE)])
    house.take(line)
    house.drain()
    assert (house.events, house.commands) == ([], [])
    house.take(booking("d1", "set_1", line.report_net_minor))
    house.drain()
    assert posted(house) == ["line.settled"]
    [command] = house.commands
    assert (command.payment_id, command.kind, command.source) == (
        "pay_1",
        "settle",
        "reconciliation",
    )


def test_a_payment_that_may_be_captured_further_is_told_later() -> None:
    house = House()
    house.take(payment_event("pay_1", 1, status="partially_captured"))
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        house.take(fact)
    house.drain()
    assert (posted(house), house.commands) == (["line.settled"], [])
    house.take(payment_event("pay_1", 2, type="payment.expired"))
    assert len(house.commands) == 1


def test_a_settle_command_that_was_refused_is_sent_again_under_another_id() -> None:
    house = paid_house()
    refused = {"type": "command.rejected", "command_kind": "settle", "source": "reconciliation"}
    house.take(payment_event("pay_1", 2, status="unknown", **refused))
    assert len(house.commands) == 1
    house.take(payment_event("pay_1", 3, type="refund.failed"))
    assert len({command.command_id for command in house.commands}) == 2
    house.take(payment_event("pay_1", 4, type="payment.settled", source="reconciliation"))
    house.take(payment_event("pay_1", 5, type="dispute.opened"))
    assert len(house.commands) == 2


def test_another_amount_waits_in_suspense_until_a_person_accepts_it() -> None:
    house = paid_house(gross_minor=900)
    assert posted(house) == ["break.opened", "line.suspended"]
    decide(house, "acknowledged")
    assert house.commands == []
    decide(house, "written_off")
    assert posted(house)[2:] == [
        "break.changed",
        "break.changed",
        "line.reclassified",
        "difference.written_off",
    ]
    assert house.events[-2].corrects == house.events[2].event_id
    assert house.balances()["network_cost", "EUR"] == 100 + 12
    assert len(house.commands) == 1


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
    house = paid_house(gross_minor=900)
    decide(house, state, **changes)
    assert house.events[-1].type == "decision.refused"
    assert why in (house.events[-1].reason or "")


def test_money_that_is_reported_after_it_was_written_off_is_one_too_many() -> None:
    house = House()
    house.take(payment_event("pay_1", 1))
    house.look(NOON_MS + 4 * DAY_MS)
    decide(house, "written_off")
    assert house.balances() == {("network_cost", "EUR"): 1000, ("network_receivable", "EUR"): -1000}
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        house.take(fact)
    house.drain()
    assert posted(house)[-1] == "line.suspended"
    assert [kind for _, kind, _ in house.breaks().values()] == ["duplicate"]


def test_what_somebody_else_settled_is_taken_back_where_lines_post_it() -> None:
    """payment.settled of another source has posted bank clearing +1000 (mapping.py)."""
    house = House()
    house.take(payment_event("pay_1", 1))
    house.take(payment_event("pay_1", 2, type="payment.settled", status="settled"))
    for fact in (*summed([settlement_line("l1", CAPTURE)]), booking("d1", "set_1", 988)):
        house.take(fact)
    house.drain()
    assert posted(house) == ["line.settled", "settlement.corrected"]
    assert house.events[-1].corrects == "pay_1-2"
    assert house.balances() == {("bank_clearing", "EUR"): 988 - 1000, ("network_cost", "EUR"): 12}
    assert house.commands == []


def test_a_line_that_comes_again_with_other_contents_is_one_too_many() -> None:
    house = paid_house()
    [line] = summed([settlement_line("l1", CAPTURE, gross_minor=999)])
    for _ in range(2):
        house.take(line)
        house.drain()
    assert [kind for _, kind, _ in house.breaks().values()] == ["duplicate"]
    assert posted(house).count("line.settled") == 1


def test_what_is_done_is_forgotten_and_what_is_open_is_not() -> None:
    house = paid_house()
    payment = house.table["payment:pay_1"]
    assert retained_until_ms(payment, house.policy) is None
    house.take(payment_event("pay_1", 2, type="payment.settled", source="reconciliation"))
    for key in ("payment:pay_1", "report:set_1", "line:l1"):
        assert retained_until_ms(house.table[key], house.policy) is not None
    assert retained_until_ms(paid_house(gross_minor=1).table["payment:pay_1"], house.policy) is None
