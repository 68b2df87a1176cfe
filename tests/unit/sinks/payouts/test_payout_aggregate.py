"""Items and requests folded into payouts, case by case."""

from typing import Any

import pytest

from schemas.enums import PayoutEventType, PayoutOutcome, PayoutRequestKind, Source
from schemas.records import PayoutEvent, PayoutItem, PayoutRequest
from sinks.payouts import state
from sinks.payouts.aggregate import PayoutAggregate
from sinks.payouts.rules import (
    DAY_MS,
    Account,
    PayoutPolicy,
    next_cutoff_ms,
    retry_delay_ms,
)
from sinks.payouts.state import OpenBalance, PayoutInProgress, decode, due_ms, encode

DAILY = Account(bank_account="acct_1", schedule="daily")
MANUAL = Account(bank_account="acct_1", schedule="manual")


class Payouts:
    """A table partition as a dict and the fold over it."""

    def __init__(self, account: Account | None = MANUAL, **policy: Any) -> None:
        self.table: dict[str, Any] = {}
        self.fold = PayoutAggregate(self.table, PayoutPolicy(**policy), lambda _merchant: account)

    def item(
        self, number: int, amount_minor: int, currency: str = "EUR", mode: str = "live"
    ) -> list[PayoutEvent]:
        return self.fold.add(
            PayoutItem(
                item_id=f"pay_{number}-2",
                merchant_id="mer_1",
                mode=mode,
                currency=currency,
                amount_minor=amount_minor,
                kind="capture",
                payment_id=f"pay_{number}",
                occurred_at_ms=1_000,
            )
        )

    def close(
        self,
        request_id: str = "r1",
        source: str = Source.API,
        currency: str | None = None,
        mode: str = "live",
    ) -> list[PayoutEvent]:
        return self.fold.apply(
            PayoutRequest(
                request_id=request_id,
                merchant_id="mer_1",
                mode=mode,
                kind=PayoutRequestKind.CLOSE,
                issued_at_ms=DAY_MS,
                source=source,
                currency=currency,
            )
        )

    def bank(self, payout_id: str, outcome: str, attempt: int = 1) -> list[PayoutEvent]:
        return self.fold.apply(
            PayoutRequest(
                request_id=f"{payout_id}#{attempt}",
                merchant_id="mer_1",
                mode="live",
                kind=PayoutRequestKind.BANK_RESULT,
                issued_at_ms=DAY_MS + attempt,
                source=Source.BANK,
                payout_id=payout_id,
                attempt=attempt,
                outcome=outcome,
            )
        )

    def balance(self, currency: str = "EUR", mode: str = "live") -> OpenBalance:
        found = self.table[f"mer_1:{mode}:{currency}"]
        assert isinstance(found, OpenBalance)
        return found


def test_close_takes_every_item_and_names_the_bank_account() -> None:
    payouts = Payouts()
    payouts.item(1, 900)
    payouts.item(2, -100)
    [created] = payouts.close()
    assert created.type == PayoutEventType.CREATED
    assert (created.amount_minor, created.items) == (800, ["pay_1-2", "pay_2-2"])
    assert (created.item_count, created.bank_account) == (2, "acct_1")
    assert payouts.balance().amount_minor == 0
    assert due_ms(payouts.table[created.payout_id]) == DAY_MS


def test_close_without_currency_closes_all_of_them_and_with_one_only_that() -> None:
    payouts = Payouts()
    payouts.item(1, 900)
    payouts.item(2, 70, "JPY")
    payouts.item(3, 5, "KWD")
    assert [e.currency for e in payouts.close("r1", currency="JPY")] == ["JPY"]
    assert [e.currency for e in payouts.close("r2")] == ["EUR", "KWD"]


def test_test_and_live_money_never_share_a_payout() -> None:
    payouts = Payouts(pay_test_mode=True)
    payouts.item(1, 900)
    payouts.item(2, 70, mode="test")
    payouts.item(3, 5, mode="test")
    [live] = payouts.close("r1")
    [test] = payouts.close("r2", mode="test")
    assert (live.mode, live.items) == ("live", ["pay_1-2"])
    assert (test.mode, test.items) == ("test", ["pay_2-2", "pay_3-2"])
    assert live.payout_id != test.payout_id


def test_test_money_stays_open_where_it_is_not_paid() -> None:
    payouts = Payouts(DAILY, items_max=3)
    payouts.item(1, 900, mode="test")
    assert payouts.balance(mode="test").due_at_ms is None
    assert payouts.close(mode="test") == []
    assert payouts.close("r2", source=Source.DEADLINES, mode="test") == []
    assert payouts.balance(mode="test").amount_minor == 900
    payouts.item(2, 1, mode="test")
    [carried] = payouts.item(3, 1, mode="test")
    assert (carried.type, carried.mode) == (PayoutEventType.CARRIED_FORWARD, "test")


def test_a_repeated_request_has_no_further_effect() -> None:
    payouts = Payouts()
    payouts.item(1, 900)
    assert len(payouts.close("r1")) == 1
    payouts.item(2, 900)
    assert payouts.close("r1") == []
    assert payouts.balance().amount_minor == 900


@pytest.mark.parametrize("amounts", [[-5], [5, -5], [99]])
def test_what_is_not_above_the_minimum_stays(amounts: list[int]) -> None:
    payouts = Payouts(amount_minor_min=100)
    for number, amount in enumerate(amounts):
        payouts.item(number, amount)
    assert payouts.close() == []
    assert payouts.balance().amount_minor == sum(amounts)


@pytest.mark.parametrize("account", [None, Account(bank_account=None, schedule="daily")])
def test_without_a_bank_account_nothing_is_paid(account: Account | None) -> None:
    payouts = Payouts(account)
    payouts.item(1, 900)
    assert payouts.close() == []
    assert payouts.balance().amount_minor == 900


def test_the_schedule_closes_daily_merchants_only() -> None:
    daily, manual = Payouts(DAILY), Payouts(MANUAL)
    for payouts in (daily, manual):
        payouts.item(1, 900)
        assert payouts.balance().due_at_ms == DAY_MS
    assert len(daily.close(source=Source.DEADLINES)) == 1
    assert manual.close(source=Source.DEADLINES) == []
    assert manual.balance().due_at_ms is None


def test_a_negative_balance_of_a_daily_merchant_is_looked_at_each_day() -> None:
    payouts = Payouts(DAILY)
    payouts.item(1, -900)
    payouts.close(source=Source.DEADLINES)
    assert payouts.balance().due_at_ms == 2 * DAY_MS


def test_paid_ends_the_payout_once() -> None:
    payouts = Payouts()
    payouts.item(1, 900)
    [created] = payouts.close()
    [paid] = payouts.bank(created.payout_id, PayoutOutcome.PAID)
    assert (paid.type, paid.sequence, paid.amount_minor) == (PayoutEventType.PAID, 2, 900)
    assert payouts.bank(created.payout_id, PayoutOutcome.PAID) == []
    assert payouts.bank(created.payout_id, PayoutOutcome.REJECTED, attempt=2) == []
    assert payouts.balance().amount_minor == 0


def test_a_failed_payout_gives_its_amount_back_and_the_next_one_names_it() -> None:
    payouts = Payouts()
    payouts.item(1, 900)
    [created] = payouts.close()
    [failed] = payouts.bank(created.payout_id, PayoutOutcome.REJECTED)
    assert failed.type == PayoutEventType.FAILED
    assert payouts.balance().amount_minor == 900
    payouts.item(2, 50)
    [again] = payouts.close("r2")
    assert again.payout_id != created.payout_id
    assert (again.amount_minor, again.items) == (950, [created.payout_id, "pay_2-2"])


def test_no_answer_is_asked_again_later_for_ever() -> None:
    payouts = Payouts(retry_seconds=10, retry_seconds_max=100)
    payouts.item(1, 900)
    [created] = payouts.close()
    payouts.bank(created.payout_id, PayoutOutcome.UNKNOWN)
    waiting = payouts.table[created.payout_id]
    assert isinstance(waiting, PayoutInProgress)
    assert waiting.attempts == 1
    assert 10_000 <= waiting.due_at_ms - DAY_MS - 1 <= 11_000
    payouts.bank(created.payout_id, PayoutOutcome.UNKNOWN)
    assert payouts.table[created.payout_id] == waiting
    policy = PayoutPolicy(retry_seconds=10, retry_seconds_max=100)
    assert retry_delay_ms(policy, "po_1", 10**6) <= 110_000


def test_a_full_balance_closes_itself_for_a_daily_merchant() -> None:
    payouts = Payouts(DAILY, items_max=7, chunk_items=3)
    events = [e for number in range(7) for e in payouts.item(number, 10)]
    assert [(e.type, e.amount_minor, e.item_count) for e in events] == [("payout.created", 70, 7)]
    assert events[0].items == [f"pay_{n}-2" for n in range(7)]


def test_a_full_balance_that_cannot_be_paid_becomes_one_item() -> None:
    payouts = Payouts(DAILY, items_max=7, chunk_items=3)
    events = [e for number in range(7) for e in payouts.item(number, -10)]
    assert [(e.type, e.amount_minor) for e in events] == [("payout.carried_forward", -70)]
    assert (payouts.balance().amount_minor, payouts.balance().item_count) == (-70, 1)
    payouts.item(8, 100)
    [created] = payouts.close()
    assert (created.amount_minor, created.items) == (30, [events[0].payout_id, "pay_8-2"])


def test_the_largest_payout_fits_into_one_record() -> None:
    payouts = Payouts(DAILY)
    [created] = [
        event
        for number in range(10_000)
        for event in payouts.fold.add(
            PayoutItem(
                item_id=f"pay_{number:026}-{10**6}",
                merchant_id="mer_1",
                mode="live",
                currency="EUR",
                amount_minor=1,
                kind="capture",
                payment_id="pay_1",
                occurred_at_ms=1,
            )
        )
    ]
    assert created.item_count == 10_000
    assert len(encode_event(created)) < 600_000
    assert max(len(encode(value)) for value in payouts.table.values()) < 50_000


def encode_event(event: PayoutEvent) -> bytes:
    from schemas.codec import encode as encode_record

    return encode_record(event)


def test_entries_survive_their_bytes() -> None:
    payouts = Payouts(items_max=100, chunk_items=2)
    for number in range(5):
        payouts.item(number, 10)
    payouts.close()
    payouts.item(9, 3)
    assert {k: decode(encode(v)) for k, v in payouts.table.items()} == payouts.table


def test_an_unknown_kind_is_refused() -> None:
    request = PayoutRequest(
        request_id="r",
        merchant_id="mer_1",
        mode="live",
        kind="open",
        issued_at_ms=1,
        source="api",
    )
    with pytest.raises(ValueError, match="close or bank_result"):
        Payouts().fold.apply(request)


@pytest.mark.parametrize(
    ("at_ms", "cutoff", "expected"),
    [(0, 0, DAY_MS), (DAY_MS - 1, 0, DAY_MS), (DAY_MS, 0, 2 * DAY_MS), (5, 3_600_000, 3_600_000)],
)
def test_the_cutoff_is_the_next_one(at_ms: int, cutoff: int, expected: int) -> None:
    assert next_cutoff_ms(at_ms, cutoff) == expected


def test_a_second_copy_of_an_item_is_not_paid_again() -> None:
    payouts = Payouts()
    payouts.item(1, 500)
    payouts.item(1, 500)
    assert payouts.balance().amount_minor == 500
    [created] = payouts.close()
    assert created.amount_minor == 500
    payouts.item(1, 500)
    assert payouts.close("r2") == []


def test_an_item_is_remembered_by_the_time_of_records() -> None:
    seen = state.SeenItem(forgotten_at_ms=7)
    assert state.expires_ms(decode(encode(seen))) == 7
    balance = OpenBalance(merchant_id="m", mode="live", currency="EUR")
    assert (due_ms(seen), state.expires_ms(balance)) == (None, None)
    payouts = Payouts(item_memory_seconds=2)
    payouts.item(1, 500)
    assert payouts.table["item:pay_1-2"] == state.SeenItem(forgotten_at_ms=3_000)
