"""The network agent: intents in, calls with one key each, outcomes back as commands.

Rules, because money may move:
- every call about an operation carries its operation_id as idempotency key; so all may be repeated;
- a call without a clear answer is repeated, then the status is asked for; without that the outcome
  is `unknown`, never `failed`;
- `failed` is the network's own word; or a refusal of the request as it is, when the network has
  seen no other copy; or an authorization that it has not seen long after it was asked for. That
  one may still arrive late: it holds money for days and charges nothing, since captures charge;
- a status request that finds a capture, refund or void unseen asks for it again under its key.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from engine import Outgoing, Record, Retry
from runtime.clock import now_ms
from runtime.telemetry import counter, gauge, histogram
from schemas.codec import encode
from schemas.headers import TRACEPARENT, record_headers
from schemas.ids import command_id, fingerprint
from schemas.records import NetworkRequest, PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS
from schemas.vocabulary import CommandKind, Operation, Outcome, Source
from streams.agents.breaker import Breaker
from streams.agents.network_call import (
    NetworkAnswer,
    NetworkClient,
    NeverSeen,
    Refused,
    Reply,
    Unavailable,
)
from streams.settings import NetworkSettings

GROUP = "streams-network"
_MS = 1000


class NetworkAgent:
    """Call function of the lane over `network.requests`."""

    def __init__(self, client: NetworkClient, settings: NetworkSettings) -> None:
        self._client = client
        self._settings = settings
        self._breaker = Breaker(
            settings.breaker_window_calls,
            settings.breaker_failure_ratio,
            settings.breaker_open_seconds,
        )

    async def call(self, record: Record) -> list[Outgoing]:
        """The result of one intent, as a command. Raises Retry while the breaker is open."""
        request: NetworkRequest = record.value
        trace = record.headers.get(TRACEPARENT)
        in_flight = gauge("paystream_network_in_flight")
        with in_flight.track_inprogress(), _seconds(request):
            answer = await self.outcome_of(request, trace.decode() if trace else None)
        counter("paystream_network_calls_total").labels(request.operation, answer.outcome).inc()
        return [result_record(request, answer, now_ms(), trace)]

    async def outcome_of(self, request: NetworkRequest, trace: str | None = None) -> NetworkAnswer:
        """What became of the operation, as far as can be known now."""
        if request.operation == Operation.STATUS:
            return await self._resolve(request, trace)
        return await self._perform(request, trace)

    async def _perform(self, request: NetworkRequest, trace: str | None) -> NetworkAnswer:
        reply = await self._persist(lambda: self._client.operate(request, trace))
        if isinstance(reply, NetworkAnswer):
            return reply
        status = await self._tried(lambda: self._client.status(request.operation_id, trace))
        if isinstance(status, NetworkAnswer):
            return status
        if isinstance(reply, Refused) and isinstance(status, NeverSeen):
            return NetworkAnswer(outcome=Outcome.FAILED, reason=reply.reason)
        return _unknown(reply)

    async def _resolve(self, request: NetworkRequest, trace: str | None) -> NetworkAnswer:
        reply = await self._persist(lambda: self._client.status(request.operation_id, trace))
        if isinstance(reply, NetworkAnswer):
            return reply
        if not isinstance(reply, NeverSeen):
            return _unknown(reply)
        if request.subject_operation == Operation.AUTHORIZE:
            return self._never_authorized(request)
        return await self._perform(request, trace)

    def _never_authorized(self, request: NetworkRequest) -> NetworkAnswer:
        """The card is kept nowhere, so that an authorization cannot be asked for again."""
        first_ms = request.first_requested_at_ms or request.requested_at_ms
        if now_ms() - first_ms < self._settings.never_seen_after_seconds * _MS:
            return _unknown(NeverSeen())
        return NetworkAnswer(outcome=Outcome.FAILED, reason="the network never saw it")

    async def _persist(self, call: Callable[[], Awaitable[Reply]]) -> Reply:
        """The first reply that decides something, else the last."""
        for number in range(1, self._settings.tries_max):
            reply = await self._tried(call)
            if not isinstance(reply, Unavailable):
                return reply
            await asyncio.sleep(self._pause_seconds(number))
        return await self._tried(call)

    async def _tried(self, call: Callable[[], Awaitable[Reply]]) -> Reply:
        """One call, if the breaker lets it pass; what it comes to is told to the breaker."""
        now = asyncio.get_running_loop().time
        if wait_seconds := self._breaker.wait_seconds(now()):
            raise Retry(wait_seconds, "the card network is not available: the breaker is open")
        reply = await call()
        if isinstance(reply, Unavailable):
            self._breaker.failed(now())
        else:
            self._breaker.succeeded()
        gauge("paystream_network_breaker_state").set(self._breaker.state(now()))
        return reply

    def _pause_seconds(self, number: int) -> float:
        """Full jitter: anything up to a bound that doubles."""
        settings = self._settings
        bound = min(settings.backoff_seconds_max, settings.backoff_seconds * 2 ** (number - 1))
        return random.uniform(0, bound)  # noqa: S311 - spreads retries, no secret


def _seconds(request: NetworkRequest):  # type: ignore[no-untyped-def] # prometheus' own type
    return histogram("paystream_network_call_seconds").labels(request.operation).time()


def _unknown(reply: Reply) -> NetworkAnswer:
    reason = reply.reason if isinstance(reply, Unavailable | Refused) else "not seen yet"
    return NetworkAnswer(outcome=Outcome.UNKNOWN, reason=reason)


def result_command(
    request: NetworkRequest, answer: NetworkAnswer, issued_at_ms: int
) -> PaymentCommand:
    """The outcome as a command; its id is derived, so that a repeated call tells it once."""
    subject = f"{request.operation_id}#{request.attempt}"
    meaning = {
        "operation_id": request.operation_id,
        "attempt": request.attempt,
        "outcome": answer.outcome,
        "network_reference": answer.network_reference,
        "decline_code": answer.decline_code,
        "action_url": answer.action_url,
    }
    return PaymentCommand(
        command_id=command_id(request.payment_id, request.operation, subject),
        payment_id=request.payment_id,
        merchant_id=request.merchant_id,
        mode=request.mode,
        kind=CommandKind.NETWORK_RESULT,
        fingerprint=fingerprint(meaning),
        issued_at_ms=issued_at_ms,
        source=Source.NETWORK,
        refund_id=request.refund_id,
        operation=request.subject_operation or request.operation,
        operation_id=request.operation_id,
        attempt=request.attempt,
        outcome=answer.outcome,
        network_reference=answer.network_reference,
        decline_code=answer.decline_code,
        action_url=answer.action_url,
        reason=answer.reason,
    )


def result_record(
    request: NetworkRequest, answer: NetworkAnswer, issued_at_ms: int, trace: bytes | None
) -> Outgoing:
    """The command as a record for payments.commands."""
    command = result_command(request, answer, issued_at_ms)
    headers = record_headers(command.command_id, command.kind, issued_at_ms, GROUP, trace)
    return Outgoing(PAYMENTS_COMMANDS, command.payment_id, encode(command), headers)
