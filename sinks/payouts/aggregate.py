"""What merchants are owed: items per merchant, mode and currency, closed into payouts (pure).

Laws: items = payouts + open balance, at every step; a payout ends once; the same records in the
same order give the same events. An item of a payout is the id of a payment event, or of an earlier
payout whose amount was returned (failed) or carried forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.enums import (
    PayoutEventType,
    PayoutOutcome,
    PayoutRequestKind,
    Source,
)
from schemas.ids import derived_id
from schemas.records import PayoutEvent, PayoutItem, PayoutRequest
from sinks.payouts.rules import DAILY, Account, PayoutPolicy, next_cutoff_ms, retry_delay_ms
from sinks.payouts.state import (
    Entry,
    ItemChunk,
    MerchantPayouts,
    OpenBalance,
    PayoutInProgress,
    SeenItem,
    balance_key,
    chunk_key,
    item_key,
)

if TYPE_CHECKING:
    from engine import TableView


AccountOf = Callable[[str], Account | None]


class PayoutAggregate:
    """Applies items and requests of one table partition, in order; returns payout events."""

    def __init__(self, table: TableView[Any], policy: PayoutPolicy, account_of: AccountOf) -> None:
        self._table = table
        self._policy = policy
        self._account_of = account_of

    def add(self, item: PayoutItem, recorded_at_ms: int | None = None) -> list[PayoutEvent]:
        """Add an item; events only if it makes the balance full.

        An item counts once, also if its record is written again within `item_memory_seconds`.
        """
        seen = item_key(item.item_id)
        if seen in self._table:
            return []
        at_ms = item.occurred_at_ms if recorded_at_ms is None else recorded_at_ms
        memory_ms = int(self._policy.item_memory_seconds * 1000)
        self._table[seen] = SeenItem(forgotten_at_ms=at_ms + memory_ms)
        self._remember_balance(item.merchant_id, item.mode, item.currency)
        balance = self._append(
            self._balance(item.merchant_id, item.mode, item.currency),
            item.item_id,
            item.amount_minor,
            item.occurred_at_ms,
        )
        return self._close_if_full(balance, item.item_id, item.occurred_at_ms)

    def apply(self, request: PayoutRequest) -> list[PayoutEvent]:
        """Apply a close request or a bank's result. Raises ValueError for another kind."""
        if request.kind == PayoutRequestKind.BANK_RESULT:
            return self._bank_result(request)
        if request.kind != PayoutRequestKind.CLOSE:
            raise ValueError(f"a payout request can be close or bank_result, not {request.kind!r}")
        return self._close_all(request)

    # -- closing

    def _close_all(self, request: PayoutRequest) -> list[PayoutEvent]:
        merchant = self._merchant(request.merchant_id)
        if request.request_id in merchant.recent_requests:
            return []
        self._remember(merchant, request.request_id)
        by_schedule = request.source == Source.DEADLINES
        known = [currency for mode, currency in merchant.balances if mode == request.mode]
        events = []
        for currency in [request.currency] if request.currency else known:
            balance = self._balance(request.merchant_id, request.mode, currency)
            account = self._payable_to(balance, by_schedule=by_schedule)
            if account is not None:
                events.append(
                    self._close(balance, account, request.request_id, request.issued_at_ms)
                )
            elif by_schedule:
                self._postpone(balance, request.issued_at_ms)
        return events

    def _payable_to(self, balance: OpenBalance, *, by_schedule: bool) -> str | None:
        """The bank account, if the balance can be paid now."""
        too_small = balance.amount_minor < max(self._policy.amount_minor_min, 1)
        if too_small or not self._policy.pays(balance.mode):
            return None
        account = self._account_of(balance.merchant_id)
        if account is None or (by_schedule and account.schedule != DAILY):
            return None
        return account.bank_account or None

    def _postpone(self, balance: OpenBalance, at_ms: int) -> None:
        account = self._account_of(balance.merchant_id)
        scheduled = account is None or account.schedule == DAILY
        waits = balance.item_count and scheduled and self._policy.pays(balance.mode)
        due = next_cutoff_ms(at_ms, self._policy.cutoff_ms_of_day) if waits else None
        self._store(msgspec.structs.replace(balance, due_at_ms=due))

    def _close(
        self, balance: OpenBalance, bank_account: str, request_id: str, at_ms: int
    ) -> PayoutEvent:
        event = self._close_as(balance, PayoutEventType.CREATED, request_id, at_ms, bank_account)
        self._table[event.payout_id] = PayoutInProgress(
            payout_id=event.payout_id,
            merchant_id=event.merchant_id,
            mode=event.mode,
            currency=event.currency,
            amount_minor=event.amount_minor,
            item_count=event.item_count,
            bank_account=bank_account,
            created_at_ms=at_ms,
            due_at_ms=at_ms,
        )
        return event

    def _close_if_full(self, balance: OpenBalance, cause: str, at_ms: int) -> list[PayoutEvent]:
        """A full balance becomes a payout, or an item of the next balance if it cannot be paid."""
        if balance.item_count < self._policy.items_max:
            return []
        account = self._payable_to(balance, by_schedule=True)
        if account is not None:
            return [self._close(balance, account, cause, at_ms)]
        event = self._close_as(balance, PayoutEventType.CARRIED_FORWARD, cause, at_ms, None)
        fresh = self._balance(balance.merchant_id, balance.mode, balance.currency)
        self._append(fresh, event.payout_id, event.amount_minor, at_ms)
        return [event]

    def _close_as(
        self,
        balance: OpenBalance,
        kind: PayoutEventType,
        request_id: str,
        at_ms: int,
        bank_account: str | None,
    ) -> PayoutEvent:
        """All items leave the balance as one payout; its id derives from the count of closings."""
        closings = balance.closings + 1
        key = balance_key(balance.merchant_id, balance.mode, balance.currency)
        payout_id = derived_id("po_", key, str(closings))
        items = self._pop_items(balance)
        fresh = OpenBalance(
            merchant_id=balance.merchant_id,
            mode=balance.mode,
            currency=balance.currency,
            closings=closings,
        )
        self._store(fresh)
        return PayoutEvent(
            event_id=f"{payout_id}-1",
            payout_id=payout_id,
            merchant_id=balance.merchant_id,
            mode=balance.mode,
            sequence=1,
            type=kind,
            status=kind.removeprefix("payout."),
            currency=balance.currency,
            amount_minor=balance.amount_minor,
            item_count=len(items),
            items=items,
            request_id=request_id,
            occurred_at_ms=at_ms,
            bank_account=bank_account,
        )

    def _pop_items(self, balance: OpenBalance) -> list[str]:
        items: list[str] = []
        for number in range(balance.chunks):
            key = chunk_key(balance, number)
            chunk: ItemChunk = self._table[key]
            items += chunk.items
            del self._table[key]
        items += balance.recent_items
        assert len(items) == balance.item_count, balance
        return items

    # -- the bank's results

    def _bank_result(self, request: PayoutRequest) -> list[PayoutEvent]:
        payout: Entry | None = self._table.get(request.payout_id or "")
        if not isinstance(payout, PayoutInProgress):
            return []
        if request.outcome == PayoutOutcome.UNKNOWN:
            self._retry_later(payout, request)
            return []
        if request.outcome not in (PayoutOutcome.PAID, PayoutOutcome.REJECTED):
            raise ValueError(f"a bank's result can be paid, rejected or unknown: {request.outcome}")
        del self._table[payout.payout_id]
        if request.outcome == PayoutOutcome.PAID:
            return [_ended(payout, request, PayoutEventType.PAID)]
        return [
            _ended(payout, request, PayoutEventType.FAILED),
            *self._return_to_balance(payout, request),
        ]

    def _retry_later(self, payout: PayoutInProgress, request: PayoutRequest) -> None:
        attempt = request.attempt or 0
        if attempt <= payout.attempts:
            return
        delay = retry_delay_ms(self._policy, payout.payout_id, attempt)
        self._table[payout.payout_id] = msgspec.structs.replace(
            payout, attempts=attempt, due_at_ms=request.issued_at_ms + delay
        )

    def _return_to_balance(
        self, payout: PayoutInProgress, request: PayoutRequest
    ) -> list[PayoutEvent]:
        balance = self._append(
            self._balance(payout.merchant_id, payout.mode, payout.currency),
            payout.payout_id,
            payout.amount_minor,
            request.issued_at_ms,
        )
        return self._close_if_full(balance, request.request_id, request.issued_at_ms)

    # -- entries

    def _balance(self, merchant_id: str, mode: str, currency: str) -> OpenBalance:
        found: OpenBalance | None = self._table.get(balance_key(merchant_id, mode, currency))
        return found or OpenBalance(merchant_id=merchant_id, mode=mode, currency=currency)

    def _store(self, balance: OpenBalance) -> None:
        self._table[balance_key(balance.merchant_id, balance.mode, balance.currency)] = balance

    def _merchant(self, merchant_id: str) -> MerchantPayouts:
        found: MerchantPayouts | None = self._table.get(merchant_id)
        return found or MerchantPayouts(merchant_id=merchant_id)

    def _remember_balance(self, merchant_id: str, mode: str, currency: str) -> None:
        merchant = self._merchant(merchant_id)
        if (mode, currency) not in merchant.balances:
            self._table[merchant_id] = msgspec.structs.replace(
                merchant, balances=(*merchant.balances, (mode, currency))
            )

    def _remember(self, merchant: MerchantPayouts, request_id: str) -> None:
        recent = (*merchant.recent_requests, request_id)[-self._policy.recent_requests_max :]
        self._table[merchant.merchant_id] = msgspec.structs.replace(
            merchant, recent_requests=recent
        )

    def _append(
        self, balance: OpenBalance, item_id: str, amount_minor: int, at_ms: int
    ) -> OpenBalance:
        recent, chunks = (*balance.recent_items, item_id), balance.chunks
        if len(recent) >= self._policy.chunk_items:
            self._table[chunk_key(balance, chunks)] = ItemChunk(items=recent)
            recent, chunks = (), chunks + 1
        due = balance.due_at_ms
        if due is None and self._policy.pays(balance.mode):
            due = next_cutoff_ms(at_ms, self._policy.cutoff_ms_of_day)
        grown = msgspec.structs.replace(
            balance,
            amount_minor=balance.amount_minor + amount_minor,
            item_count=balance.item_count + 1,
            recent_items=recent,
            chunks=chunks,
            due_at_ms=due,
        )
        self._store(grown)
        return grown


def _ended(payout: PayoutInProgress, request: PayoutRequest, kind: PayoutEventType) -> PayoutEvent:
    return PayoutEvent(
        event_id=f"{payout.payout_id}-2",
        payout_id=payout.payout_id,
        merchant_id=payout.merchant_id,
        mode=payout.mode,
        sequence=2,
        type=kind,
        status=kind.removeprefix("payout."),
        currency=payout.currency,
        amount_minor=payout.amount_minor,
        item_count=payout.item_count,
        request_id=request.request_id,
        occurred_at_ms=request.issued_at_ms,
        bank_account=payout.bank_account,
        bank_reference=request.bank_reference,
        attempt=request.attempt,
        reason=request.reason,
    )
