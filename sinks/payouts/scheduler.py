"""What is due: balances of the daily schedule to close, payouts to send to the bank."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from engine import TransactionalTable
from runtime.clock import now_ms
from runtime.telemetry import counter, gauge
from schemas.codec import encode
from schemas.enums import PayoutRequestKind, Source
from schemas.headers import record_headers
from schemas.ids import derived_id
from schemas.records import PayoutRequest
from schemas.topics import PAYOUTS_REQUESTS
from sinks.payouts.bank import Bank, BankAnswer
from sinks.payouts.settings import PayoutSettings
from sinks.payouts.state import OpenBalance, PayoutInProgress, balance_key
from workers.calls_in_flight import CallsInFlight
from workers.catalogue import WORKERS

GROUP = WORKERS["payouts"].group
Send = Callable[[str, str, bytes, Mapping[str, bytes]], Awaitable[None]]
"""(topic, key, value, headers) -> acknowledged by the broker."""


class PayoutScheduler:
    """Turns due entries into requests; the entries change only when the requests come back."""

    def __init__(self, payouts: TransactionalTable, send: Send, settings: PayoutSettings) -> None:
        self._payouts = payouts
        self._send = send
        self._settings = settings
        self._policy = settings.policy()
        self._bank_calls = CallsInFlight("sinks.payouts.bank", settings.bank_in_flight_max)
        self._closings = CallsInFlight("sinks.payouts.closings", settings.closings_in_flight_max)
        self._rows = settings.due_rows_min

    async def run(self, bank: Bank, should_stop: Callable[[], bool]) -> None:
        """Until `should_stop`, or cancelled; the next owner repeats calls in flight."""
        try:
            while not should_stop():
                self._bank_calls.prune()
                self._closings.prune()
                self._start_due(bank)
                await asyncio.sleep(self._settings.poll_seconds)
        finally:
            await self._bank_calls.cancel()
            await self._closings.cancel()
            await bank.close()

    def _start_due(self, bank: Bank) -> None:
        found = self._payouts.due(now_ms(), self._rows)
        for key, entry in found:
            if isinstance(entry, PayoutInProgress):
                self._start_payment(bank, key, entry)
            else:
                self._start_closing(key, entry)
        self._adapt(len(found))

    def _adapt(self, found: int) -> None:
        """A full page may hide due work behind calls that are under way: look further."""
        if found >= self._rows:
            self._rows = min(2 * self._rows, self._settings.due_rows_max)
        elif found < self._rows // 4:
            self._rows = max(self._rows // 2, self._settings.due_rows_min)
        gauge("paystream_payouts_due").set(found)

    def _start_payment(self, bank: Bank, key: str, payout: PayoutInProgress) -> None:
        if not self._policy.pays(payout.mode):
            return
        if self._bank_calls.is_busy(key) or self._bank_calls.room <= 0:
            return
        settled = partial(self._has_answer, key, payout.attempts + 1)
        self._bank_calls.start(key, payout.merchant_id, self._pay(bank, payout), settled)

    def _start_closing(self, key: str, balance: OpenBalance) -> None:
        if self._closings.is_busy(key) or self._closings.room <= 0:
            return
        settled = partial(self._is_looked_at, key, balance.due_at_ms)
        self._closings.start(key, balance.merchant_id, self._close(balance), settled)

    def _has_answer(self, payout_id: str, attempt: int) -> bool:
        entry = self._payouts.get(payout_id)
        return entry is None or entry.attempts >= attempt

    def _is_looked_at(self, key: str, due_at_ms: int | None) -> bool:
        entry: OpenBalance | None = self._payouts.get(key)
        return entry is None or entry.due_at_ms != due_at_ms

    async def _pay(self, bank: Bank, payout: PayoutInProgress) -> None:
        answer = await bank.pay(payout)
        counter("paystream_bank_calls_total").labels(answer.outcome).inc()
        await self._request(bank_result(payout, answer, now_ms()))

    async def _close(self, balance: OpenBalance) -> None:
        await self._request(scheduled_close(balance, now_ms()))

    async def _request(self, request: PayoutRequest) -> None:
        headers = record_headers(
            request.request_id, f"payout.{request.kind}", request.issued_at_ms, GROUP
        )
        await self._send(PAYOUTS_REQUESTS, request.merchant_id, encode(request), headers)


def bank_result(payout: PayoutInProgress, answer: BankAnswer, at_ms: int) -> PayoutRequest:
    """The bank's answer as a request to the fold."""
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
        outcome=answer.outcome,
        bank_reference=answer.bank_reference,
        reason=answer.reason,
    )


def scheduled_close(balance: OpenBalance, at_ms: int) -> PayoutRequest:
    """The daily closing of a balance; the same id for the same due time, whoever asks."""
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
