"""The bank's promises: one payout per key, scripted accounts, statements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from simulator_process import Running, Start

pytestmark = pytest.mark.services


def pay(bank: Running, key: str, account: str = "DE00ACCEPT1", **more: Any) -> httpx2.Response:
    body = {"idempotency_key": key, "account": account, "amount_minor": 700, "currency": "EUR"}
    return bank.http.post("/v1/payouts", json=body | more)


def test_accounts_follow_their_script(start_simulator: Start) -> None:
    bank = start_simulator("bank")
    assert pay(bank, "a").json()["status"] == "accepted"
    rejected = pay(bank, "b", "DE00REJECT1").json()
    assert (rejected["status"], rejected["reason"]) == ("rejected", "account_closed")
    assert bank.http.get("/v1/payouts/b").json() == rejected
    assert bank.http.get("/v1/payouts/c").status_code == 404
    assert bank.http.get("/summary").json()["paid_minor"] == {"EUR": 700}


def test_a_repeated_payout_is_paid_once(start_simulator: Start) -> None:
    bank = start_simulator("bank")
    first = pay(bank, "a").json()
    assert pay(bank, "a").json() == first
    assert pay(bank, "a", amount_minor=701).status_code == 409
    assert [(line["amount_minor"], line["requests"]) for line in bank.log()] == [(700, 2)]


def test_a_lost_answer_is_lost_once(start_simulator: Start) -> None:
    bank = start_simulator("bank", hold_seconds=0.2)
    with pytest.raises(httpx2.RemoteProtocolError):
        pay(bank, "a", "DE00LOST1")
    assert pay(bank, "a", "DE00LOST1").json()["status"] == "accepted"
    assert len(bank.log()) == 1


def test_the_statement_of_a_day_lists_what_was_paid(start_simulator: Start) -> None:
    bank = start_simulator("bank")
    reference = pay(bank, "a").json()["bank_reference"]
    pay(bank, "b", "DE00REJECT1")
    day = datetime.fromtimestamp(bank.log()[0]["at_ms"] / 1000, UTC).date().isoformat()
    bookings = bank.http.get("/v1/statements", params={"date": day}).json()["bookings"]
    assert [(line["bank_reference"], line["amount_minor"]) for line in bookings] == [
        (reference, 700)
    ]
    before = bank.http.get("/v1/statements", params={"date": "2001-01-01"}).json()
    assert before == {"date": "2001-01-01", "bookings": []}
    assert bank.http.get("/v1/statements").status_code == 400


@pytest.mark.parametrize("wrong", [{"amount_minor": 0}, {"currency": "eur"}, {"account": ""}])
def test_an_instruction_that_does_not_fit_is_refused(
    start_simulator: Start, wrong: dict[str, Any]
) -> None:
    bank = start_simulator("bank")
    assert pay(bank, "a", **wrong).status_code == 400
    assert bank.log_text() == ""
