"""The bank's HTTP interface: pay by idempotency key, ask by the same key."""

from http import HTTPStatus
from typing import Literal

import msgspec

from runtime.http_client import REQUEST_ERRORS, HttpClient, HttpResponse
from schemas.enums import PayoutOutcome
from sinks.payouts.state import PayoutInProgress

ERROR_CHARACTERS_MAX = 300


class BankAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an instruction. `unknown`: money may have moved; ask by the same key."""

    outcome: PayoutOutcome
    bank_reference: str | None = None
    reason: str | None = None


class _Reply(msgspec.Struct, frozen=True):
    status: Literal["accepted", "rejected"]
    bank_reference: str | None = None
    reason: str | None = None


class Bank:
    """Calls that never raise: whatever is not a clear yes or no is `unknown`."""

    def __init__(self, url: str, timeout_seconds: float, in_flight_max: int) -> None:
        self._http = HttpClient(url, timeout_seconds, in_flight_max)

    async def pay(self, payout: PayoutInProgress) -> BankAnswer:
        """Have the payout paid, at most once however often this is called.

        An instruction that had no answer before is asked about first. After a time-out it is asked
        about, too.
        """
        if payout.attempts:
            known = await self._ask(payout.payout_id)
            if known is not None:
                return known
        answer = await self._instruct(payout)
        if answer.outcome != PayoutOutcome.UNKNOWN:
            return answer
        return await self._ask(payout.payout_id) or answer

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _instruct(self, payout: PayoutInProgress) -> BankAnswer:
        body = {
            "idempotency_key": payout.payout_id,
            "account": payout.bank_account,
            "amount_minor": payout.amount_minor,
            "currency": payout.currency,
        }
        try:
            response = await self._http.request("POST", "/v1/payouts", json=body)
        except REQUEST_ERRORS as error:
            return _unknown(f"{type(error).__name__}: {error}")
        return _understood(response)

    async def _ask(self, payout_id: str) -> BankAnswer | None:
        """The bank's word about the key; None if it has none or cannot be reached."""
        try:
            response = await self._http.request("GET", f"/v1/payouts/{payout_id}")
        except REQUEST_ERRORS:
            return None
        answer = _understood(response)
        return None if answer.outcome == PayoutOutcome.UNKNOWN else answer


def _understood(response: HttpResponse) -> BankAnswer:
    """Only a 200 that says accepted or rejected is an answer; an error of ours or theirs is not."""
    if response.status != HTTPStatus.OK or not response.complete:
        return _unknown(f"HTTP {response.status}")
    try:
        reply = msgspec.json.decode(response.content, type=_Reply)
    except msgspec.DecodeError as error:
        return _unknown(f"the bank's answer is not readable: {error}")
    outcome = PayoutOutcome.PAID if reply.status == "accepted" else PayoutOutcome.REJECTED
    return BankAnswer(outcome=outcome, bank_reference=reply.bank_reference, reason=reply.reason)


def _unknown(reason: str) -> BankAnswer:
    return BankAnswer(outcome=PayoutOutcome.UNKNOWN, reason=reason[:ERROR_CHARACTERS_MAX])
