"""The bank's HTTP interface: pay by idempotency key, ask by the same key."""

import asyncio
from typing import Any, Literal

import httpx2
import msgspec

from schemas.vocabulary import PayoutOutcome
from sinks.payouts.folding_state import PayoutInProgress

ERROR_CHARACTERS_MAX = 300
ANSWER_BYTES_MAX = 65_536


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
        self._timeout_seconds = timeout_seconds
        self._client = httpx2.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=in_flight_max),
        )

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
        await self._client.aclose()

    async def _instruct(self, payout: PayoutInProgress) -> BankAnswer:
        body = {
            "idempotency_key": payout.payout_id,
            "account": payout.bank_account,
            "amount_minor": payout.amount_minor,
            "currency": payout.currency,
        }
        try:
            response = await self._call("POST", "/v1/payouts", json=body)
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            return _unknown(f"{type(error).__name__}: {error}")
        return _understood(response)

    async def _ask(self, payout_id: str) -> BankAnswer | None:
        """The bank's word about the key; None if it has none or cannot be reached."""
        try:
            response = await self._call("GET", f"/v1/payouts/{payout_id}")
        except (httpx2.HTTPError, TimeoutError, OSError):
            return None
        answer = _understood(response)
        return None if answer.outcome == PayoutOutcome.UNKNOWN else answer

    async def _call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        async with asyncio.timeout(self._timeout_seconds):
            return await self._client.request(method, path, **options)


def _understood(response: httpx2.Response) -> BankAnswer:
    """Only a 200 that says accepted or rejected is an answer; an error of ours or theirs is not."""
    if response.status_code != httpx2.codes.OK or len(response.content) > ANSWER_BYTES_MAX:
        return _unknown(f"HTTP {response.status_code}")
    try:
        reply = msgspec.json.decode(response.content, type=_Reply)
    except msgspec.DecodeError as error:
        return _unknown(f"the bank's answer is not readable: {error}")
    outcome = PayoutOutcome.PAID if reply.status == "accepted" else PayoutOutcome.REJECTED
    return BankAnswer(outcome=outcome, bank_reference=reply.bank_reference, reason=reply.reason)


def _unknown(reason: str) -> BankAnswer:
    return BankAnswer(outcome=PayoutOutcome.UNKNOWN, reason=reason[:ERROR_CHARACTERS_MAX])
