"""The bank's HTTP interface: pay by idempotency key, read the status by the same key."""

from http import HTTPStatus
from typing import Literal

import msgspec

from runtime.http_client import REQUEST_ERRORS, HttpClient, HttpResponse
from schemas.enums import PayoutOutcome
from sinks.payouts.state import PayoutInProgress

ERROR_CHARACTERS_MAX = 300


class BankResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an instruction. `unknown`: money may have moved; read its status."""

    outcome: PayoutOutcome
    bank_reference: str | None = None
    reason: str | None = None


class _Reply(msgspec.Struct, frozen=True):
    status: Literal["accepted", "rejected"]
    bank_reference: str | None = None
    reason: str | None = None


class Bank:
    """Calls that never raise: a response that neither accepts nor rejects clearly is `unknown`."""

    def __init__(self, url: str, timeout_seconds: float, in_flight_max: int) -> None:
        self._http = HttpClient(url, timeout_seconds, in_flight_max)

    async def pay(self, payout: PayoutInProgress) -> BankResult:
        """Pay the payout, at most once however often this is called.

        If an earlier instruction has no result, its status is read first. After an unclear result
        it is read again.
        """
        if payout.attempts:
            known = await self._status(payout.payout_id)
            if known is not None:
                return known
        result = await self._instruct(payout)
        if result.outcome != PayoutOutcome.UNKNOWN:
            return result
        return await self._status(payout.payout_id) or result

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _instruct(self, payout: PayoutInProgress) -> BankResult:
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
        return _parse(response)

    async def _status(self, payout_id: str) -> BankResult | None:
        """The bank's status of the key; None if it has none or cannot be reached."""
        try:
            response = await self._http.request("GET", f"/v1/payouts/{payout_id}")
        except REQUEST_ERRORS:
            return None
        result = _parse(response)
        return None if result.outcome == PayoutOutcome.UNKNOWN else result


def _parse(response: HttpResponse) -> BankResult:
    """Only a 200 that says accepted or rejected is conclusive; an error on either side is not."""
    if response.status != HTTPStatus.OK or not response.complete:
        return _unknown(f"HTTP {response.status}")
    try:
        reply = msgspec.json.decode(response.content, type=_Reply)
    except msgspec.DecodeError as error:
        return _unknown(f"The bank's response cannot be decoded: {error}")
    outcome = PayoutOutcome.PAID if reply.status == "accepted" else PayoutOutcome.REJECTED
    return BankResult(outcome=outcome, bank_reference=reply.bank_reference, reason=reply.reason)


def _unknown(reason: str) -> BankResult:
    return BankResult(outcome=PayoutOutcome.UNKNOWN, reason=reason[:ERROR_CHARACTERS_MAX])
