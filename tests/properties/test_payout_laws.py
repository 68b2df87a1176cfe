"""Laws of money of payouts, over any order of items, closings and bank answers."""

from collections.abc import Iterable
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.enums import PayoutEventType, PayoutOutcome, PayoutRequestKind, Source
from schemas.records import PayoutEvent, PayoutItem, PayoutRequest
from sinks.payouts.aggregate import PayoutAggregate
from sinks.payouts.rules import Account, PayoutPolicy
from sinks.payouts.state import OpenBalance, PayoutInProgress

MERCHANTS = ("mer_a", "mer_b")
CURRENCIES = ("EUR", "JPY")
MODES = ("live", "test")
POLICY = PayoutPolicy(
    pay_test_mode=True, items_max=6, chunk_items=2, amount_minor_min=10, recent_requests_max=1000
)
ACCOUNTS = {
    "mer_a": Account(bank_account="acct_a", schedule="daily"),
    "mer_b": Account(bank_account="acct_b", schedule="manual"),
}

items = st.tuples(
    st.just("item"),
    st.sampled_from(MERCHANTS),
    st.sampled_from(MODES),
    st.sampled_from(CURRENCIES),
    st.integers(-200, 300).filter(bool),
)
closings = st.tuples(
    st.just("close"),
    st.sampled_from(MERCHANTS),
    st.sampled_from(MODES),
    st.sampled_from((*CURRENCIES, None)),
    st.sampled_from((Source.API, Source.DEADLINES)),
)
answers = st.tuples(
    st.just("bank"),
    st.integers(0, 5),
    st.sampled_from(tuple(PayoutOutcome)),
    st.integers(1, 3),
)
histories = st.lists(st.one_of(items, items, closings, answers), max_size=60)


class Run:
    """One history applied; keeps what went in and what came out."""

    def __init__(self, history: Iterable[tuple[Any, ...]]) -> None:
        self.table: dict[str, Any] = {}
        self.items: dict[str, PayoutItem] = {}
        self.requests: list[PayoutRequest] = []
        self.events: list[PayoutEvent] = []
        self.fold = PayoutAggregate(self.table, POLICY, ACCOUNTS.get)
        for number, step in enumerate(history):
            self._apply(number, *step)

    def _apply(self, number: int, kind: str, *rest: Any) -> None:
        if kind == "item":
            merchant, mode, currency, amount = rest
            item = PayoutItem(
                item_id=f"pay_{number}-2",
                merchant_id=merchant,
                mode=mode,
                currency=currency,
                amount_minor=amount,
                kind="capture",
                payment_id=f"pay_{number}",
                occurred_at_ms=number,
            )
            self.items[item.item_id] = item
            self.events += self.fold.add(item)
            return
        request = self._close(number, *rest) if kind == "close" else self._bank(number, *rest)
        if request is not None:
            self.requests.append(request)
            self.events += self.fold.apply(request)

    def _close(
        self, number: int, merchant: str, mode: str, currency: str | None, source: str
    ) -> PayoutRequest:
        return PayoutRequest(
            request_id=f"r{number}",
            merchant_id=merchant,
            mode=mode,
            kind=PayoutRequestKind.CLOSE,
            issued_at_ms=number,
            source=source,
            currency=currency,
        )

    def _bank(self, number: int, which: int, outcome: str, attempt: int) -> PayoutRequest | None:
        created = [e for e in self.events if e.type == PayoutEventType.CREATED]
        if which >= len(created):
            return None
        payout = created[which]
        return PayoutRequest(
            request_id=f"{payout.payout_id}#{attempt}",
            merchant_id=payout.merchant_id,
            mode=payout.mode,
            kind=PayoutRequestKind.BANK_RESULT,
            issued_at_ms=number,
            source=Source.BANK,
            payout_id=payout.payout_id,
            attempt=attempt,
            outcome=outcome,
        )

    def of_type(self, kind: str) -> list[PayoutEvent]:
        return [e for e in self.events if e.type == kind]

    def amounts(self) -> dict[str, int]:
        """Amount of everything that can be an item."""
        found = {item_id: item.amount_minor for item_id, item in self.items.items()}
        emptied = self.of_type(PayoutEventType.CREATED) + self.of_type(
            PayoutEventType.CARRIED_FORWARD
        )
        return found | {e.payout_id: e.amount_minor for e in emptied}


def account_of(value: PayoutItem | PayoutEvent | PayoutInProgress) -> tuple[str, str, str]:
    return value.merchant_id, value.mode, value.currency


@given(histories)
@settings(max_examples=150, deadline=None)
def test_items_are_paid_in_progress_or_open_to_the_cent(history: list[tuple[Any, ...]]) -> None:
    run = Run(history)
    for account in product(MERCHANTS, MODES, CURRENCIES):
        owed = sum(i.amount_minor for i in run.items.values() if account_of(i) == account)
        ended = run.of_type(PayoutEventType.PAID)
        paid = sum(e.amount_minor for e in ended if account_of(e) == account)
        open_payouts = [v for v in run.table.values() if isinstance(v, PayoutInProgress)]
        under_way = sum(v.amount_minor for v in open_payouts if account_of(v) == account)
        balance = run.table.get(":".join(account))
        open_minor = balance.amount_minor if isinstance(balance, OpenBalance) else 0
        assert owed == paid + under_way + open_minor


@given(histories)
@settings(max_examples=150, deadline=None)
def test_each_payout_is_the_sum_of_its_items_and_no_item_is_in_two(
    history: list[tuple[Any, ...]],
) -> None:
    run = Run(history)
    amounts = run.amounts()
    emptied = run.of_type(PayoutEventType.CREATED) + run.of_type(PayoutEventType.CARRIED_FORWARD)
    for event in emptied:
        assert event.amount_minor == sum(amounts[item] for item in event.items)
        assert event.item_count == len(event.items) <= POLICY.items_max
    used = [item for event in emptied for item in event.items]
    assert len(used) == len(set(used))
    assert all(e.amount_minor >= 10 for e in run.of_type(PayoutEventType.CREATED))


@given(histories)
@settings(max_examples=150, deadline=None)
def test_a_payout_has_one_end_and_its_own_id(history: list[tuple[Any, ...]]) -> None:
    run = Run(history)
    made = [e.payout_id for e in run.events if e.sequence == 1]
    ended = [e.payout_id for e in run.events if e.sequence == 2]
    assert len(made) == len(set(made))
    assert len(ended) == len(set(ended))
    assert set(ended) <= {e.payout_id for e in run.of_type(PayoutEventType.CREATED)}


@given(histories)
@settings(max_examples=100, deadline=None)
def test_a_replay_gives_the_same_bytes(history: list[tuple[Any, ...]]) -> None:
    first, second = Run(history), Run(history)
    assert [encode(e) for e in first.events] == [encode(e) for e in second.events]
    assert first.table == second.table


@given(histories)
@settings(max_examples=100, deadline=None)
def test_repeating_every_request_changes_nothing(history: list[tuple[Any, ...]]) -> None:
    run = Run(history)
    before = dict(run.table)
    for request in run.requests:
        assert run.fold.apply(request) == []
    assert run.table == before
