"""Due entries: balances of the daily schedule to close, payouts to send to the bank."""

import asyncio
from collections.abc import Callable
from functools import partial

from engine import TransactionalTable
from runtime.clock import now_ms
from runtime.telemetry import counter, gauge
from schemas.enums import PayoutRequestKind, Source
from schemas.envelopes import to_message
from schemas.ids import derived_id
from schemas.records import PayoutRequest
from sinks.payouts.bank import Bank, BankResult
from sinks.payouts.settings import PayoutSettings
from sinks.payouts.state import OpenBalance, PayoutInProgress, balance_key
from workers.calls_in_flight import CallsInFlight
from workers.catalogue import WORKERS
from workers.send import Send

GROUP = WORKERS["payouts"].group


class PayoutScheduler:
    """Turns due entries into requests; the entries change when the requests are applied."""

    def __init__(self, payouts: TransactionalTable, send: Send, settings: PayoutSettings) -> None:
        self._payouts = payouts
        self._send = send
        self._settings = settings
        self._policy = settings.policy()
        self._bank_calls = CallsInFlight("sinks.payouts.bank", settings.bank_in_flight_max)
        self._close_requests = CallsInFlight(
            "sinks.payouts.close_requests", settings.close_requests_in_flight_max
        )
        self._rows = settings.due_rows_min

    async def run(self, bank: Bank, should_stop: Callable[[], bool]) -> None:
        """Run until `should_stop` or cancelled; the next owner repeats calls in flight."""
        try:
            while not should_stop():
                self._bank_calls.prune()
                self._close_requests.prune()
                self._start_due(bank)
                await asyncio.sleep(self._settings.poll_seconds)
        finally:
            await self._bank_calls.cancel()
            await self._close_requests.cancel()
            await bank.close()

    def _start_due(self, bank: Bank) -> None:
        found = self._payouts.due(now_ms(), self._rows)
        for key, entry in found:
            if isinstance(entry, PayoutInProgress):
                self._start_payment(bank, key, entry)
            else:
                self._start_close_request(key, entry)
        self._adapt(len(found))

    def _adapt(self, found: int) -> None:
        """Read more rows while the page is full: due work behind active calls must not wait."""
        if found >= self._rows:
            self._rows = min(2 * self._rows, self._settings.due_rows_max)
        elif found < self._rows // 4:
            self._rows = max(self._rows // 2, self._settings.due_rows_min)
        gauge("paystream_payouts_due").set(found)

    def _start_payment(self, bank: Bank, key: str, payout: PayoutInProgress) -> None:
        if not self._policy.pays(payout.mode):
            return
        if self._bank_calls.is_active(key) or self._bank_calls.capacity <= 0:
            return
        applied = partial(self._has_result, key, payout.attempts + 1)
        self._bank_calls.start(key, payout.merchant_id, self._pay(bank, payout), applied)

    def _start_close_request(self, key: str, balance: OpenBalance) -> None:
        if self._close_requests.is_active(key) or self._close_requests.capacity <= 0:
            return
        applied = partial(self._is_closed_or_postponed, key, balance.due_at_ms)
        self._close_requests.start(key, balance.merchant_id, self._close(balance), applied)

    def _has_result(self, payout_id: str, attempt: int) -> bool:
        entry = self._payouts.get(payout_id)
        return entry is None or entry.attempts >= attempt

    def _is_closed_or_postponed(self, key: str, due_at_ms: int | None) -> bool:
        entry: OpenBalance | None = self._payouts.get(key)
        return entry is None or entry.due_at_ms != due_at_ms

    async def _pay(self, bank: Bank, payout: PayoutInProgress) -> None:
        result = await bank.pay(payout)
        counter("paystream_bank_calls_total").labels(result.outcome).inc()
        await self._request(bank_result(payout, result, now_ms()))

    async def _close(self, balance: OpenBalance) -> None:
        await self._request(scheduled_close(balance, now_ms()))

    async def _request(self, request: PayoutRequest) -> None:
        await self._send(*to_message(request, GROUP))


def bank_result(payout: PayoutInProgress, result: BankResult, at_ms: int) -> PayoutRequest:
    """The bank's result as a request to the aggregate."""
    attempt = payout.attempts + 1
    return PayoutRequest(
        request_id=f"{payout.payout_id}#{attempt}",
        merchant_id=payout.merchant_id,
        mode=payout.mode,
        kind=PayoutRequestKind.BANK_RESULT,
        issued_at_ms=at_ms,
        source=Source.BANK,
        currency=payout.currency,
        payout_id=payout.payout_id,
        attempt=attempt,
        outcome=result.outcome,
        bank_reference=result.bank_reference,
        reason=result.reason,
    )


def scheduled_close(balance: OpenBalance, at_ms: int) -> PayoutRequest:
    """The daily closing of a balance; its id derives from the due time."""
    key = balance_key(balance.merchant_id, balance.mode, balance.currency)
    return PayoutRequest(
        request_id=derived_id("pr_", key, str(balance.due_at_ms)),
        merchant_id=balance.merchant_id,
        mode=balance.mode,
        kind=PayoutRequestKind.CLOSE,
        issued_at_ms=at_ms,
        source=Source.DEADLINES,
        currency=balance.currency,
    )
