"""Calls to the card network: requests in, calls with one key each, results back as commands.

Rules, because money may move:
- Every call about an operation carries its operation_id as idempotency key, so it may be repeated.
- A call without a clear reply is repeated, then the status is inquired. Without a clear status the
  outcome is `unknown`, never `failed`.
- `failed` means that the network said so; or that it rejected the request and has seen no other
  copy of it; or that it does not know an authorization long after its request. Such an
  authorization may still arrive late: it holds money for days and charges nothing, since only
  captures charge.
- A status inquiry that finds a capture, refund or void unknown requests it again under its key.
- An authorization goes to the fallback network only if it cannot have reached the first one: every
  call found no connection, an open circuit breaker or a 503 that says "not processed", and no
  earlier owner of the partition may have called. The result is `not_processed`; the domain then
  records a request to the fallback with a key of its own, before any call is made.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from engine import ProducerRecord, Record, Retry
from runtime.clock import now_ms
from runtime.telemetry import counter, gauge, histogram
from schemas.enums import Network, Operation, Outcome, Source
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT, valid_traceparent
from schemas.network_results import NetworkResult, RequestedOperation, result_command
from schemas.records import NetworkRequest
from streams.agents.network_client import (
    NetworkClient,
    NotFound,
    NotProcessed,
    Rejected,
    Reply,
    Unavailable,
)
from streams.agents.network_gateway import CircuitOpen, NetworkGateway, raise_retry
from streams.settings import NetworkSettings
from workers.catalogue import WORKERS

GROUP = WORKERS["network"].group
NO_GATEWAY_RETRY_SECONDS = 30.0
POSSIBLY_SENT_MAX = 10_000
_MS = 1000


class NetworkCallHandler:
    """Call function of the parallel consumer of `network.requests`.

    `is_new(record)`: no earlier owner of its partition can have made a call for it.
    """

    def __init__(
        self,
        clients: Mapping[str, NetworkClient],
        settings: NetworkSettings,
        is_new: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        self._gateways = {
            name: NetworkGateway(name, client, settings) for name, client in clients.items()
        }
        self._settings = settings
        self._is_new = is_new
        self._possibly_sent: OrderedDict[str, None] = OrderedDict()

    async def call(self, record: Record) -> list[ProducerRecord]:
        """The result of one request, as a command. Raises Retry while the breaker is open."""
        request: NetworkRequest = record.value
        trace = valid_traceparent(record.headers.get(TRACEPARENT))
        in_flight = gauge("paystream_network_in_flight")
        with in_flight.track_inprogress(), _seconds(request):
            new = self._is_new(record)
            answer = await self.resolve_outcome(request, trace.decode() if trace else None, new=new)
        counter("paystream_network_calls_total").labels(request.operation, answer.outcome).inc()
        return [result_record(request, answer, now_ms(), trace)]

    async def resolve_outcome(
        self, request: NetworkRequest, trace: str | None = None, *, new: bool = False
    ) -> NetworkResult:
        """The outcome of the operation, as far as it can be known now."""
        name = request.network or Network.PRIMARY
        gateway = self._gateways.get(name)
        if gateway is None:
            variable = f"NETWORK_{name.upper()}_URL"
            raise Retry(
                NO_GATEWAY_RETRY_SECONDS,
                f"A payment is at the {name} network, which is not configured. Set {variable}.",
            )
        if request.operation == Operation.STATUS:
            return await self._resolve(gateway, request, trace)
        if new and self._can_fail_over(request):
            return await self._authorize(gateway, request, trace)
        return await self._perform(gateway, request, trace)

    def _can_fail_over(self, request: NetworkRequest) -> bool:
        return (
            request.operation == Operation.AUTHORIZE
            and request.network is None
            and request.card is not None
            and Network.FALLBACK in self._gateways
            and request.operation_id not in self._possibly_sent
        )

    async def _authorize(
        self, gateway: NetworkGateway, request: NetworkRequest, trace: str | None
    ) -> NetworkResult:
        """The first call for an authorization; a cancelled one may have reached the network."""
        key = request.operation_id
        self._possibly_sent[key] = None
        if len(self._possibly_sent) > POSSIBLY_SENT_MAX:
            self._possibly_sent.popitem(last=False)
        reply = await gateway.call_with_retries(lambda: gateway.client.operate(request, trace))
        if isinstance(reply, NotProcessed):
            answer = NetworkResult(outcome=Outcome.NOT_PROCESSED, reason=reply.reason)
        else:
            answer = await self._concluded(gateway, request, reply, trace)
        self._possibly_sent.pop(key, None)
        return answer

    async def _perform(
        self, gateway: NetworkGateway, request: NetworkRequest, trace: str | None
    ) -> NetworkResult:
        reply = await gateway.call_with_retries(lambda: gateway.client.operate(request, trace))
        if isinstance(reply, CircuitOpen):
            raise_retry(reply)
        return await self._concluded(gateway, request, reply, trace)

    async def _concluded(
        self, gateway: NetworkGateway, request: NetworkRequest, reply: Reply, trace: str | None
    ) -> NetworkResult:
        """What a reply to the operation means; without a clear one, the status is inquired."""
        if isinstance(reply, NetworkResult):
            return reply
        status = await gateway.call_once(lambda: gateway.client.status(request.operation_id, trace))
        if isinstance(status, NetworkResult):
            return status
        if isinstance(reply, Rejected) and isinstance(status, NotFound):
            return NetworkResult(outcome=Outcome.FAILED, reason=reply.reason)
        return _unknown(reply)

    async def _resolve(
        self, gateway: NetworkGateway, request: NetworkRequest, trace: str | None
    ) -> NetworkResult:
        reply = await gateway.call_with_retries(
            lambda: gateway.client.status(request.operation_id, trace)
        )
        if isinstance(reply, NetworkResult):
            return reply
        if isinstance(reply, CircuitOpen):
            raise_retry(reply)
        if not isinstance(reply, NotFound):
            return _unknown(reply)
        if request.subject_operation == Operation.AUTHORIZE:
            return self._never_authorized(request)
        return await self._perform(gateway, request, trace)

    def _never_authorized(self, request: NetworkRequest) -> NetworkResult:
        """The card is stored nowhere, so an authorization cannot be requested again."""
        first_ms = request.first_requested_at_ms or request.requested_at_ms
        if now_ms() - first_ms < self._settings.not_found_timeout_seconds * _MS:
            return _unknown(NotFound())
        return NetworkResult(outcome=Outcome.FAILED, reason="the network does not know it")


def _seconds(request: NetworkRequest):  # type: ignore[no-untyped-def] # prometheus' own type
    return histogram("paystream_network_call_seconds").labels(request.operation).time()


def _unknown(reply: Reply) -> NetworkResult:
    reason = reply.reason if isinstance(reply, Unavailable | Rejected) else "not known yet"
    return NetworkResult(outcome=Outcome.UNKNOWN, reason=reason)


def requested_operation(request: NetworkRequest) -> RequestedOperation:
    """The operation that a request is about."""
    return RequestedOperation(
        payment_id=request.payment_id,
        merchant_id=request.merchant_id,
        mode=request.mode,
        operation=request.subject_operation or request.operation,
        operation_id=request.operation_id,
        attempt=request.attempt,
        by_status=request.operation == Operation.STATUS,
        refund_id=request.refund_id,
        network=request.network,
    )


def result_record(
    request: NetworkRequest, answer: NetworkResult, issued_at_ms: int, trace: bytes | None
) -> ProducerRecord:
    """The command as a record for its topic."""
    card = request.card if answer.outcome == Outcome.NOT_PROCESSED else None
    command = result_command(
        requested_operation(request), answer, issued_at_ms, card, source=Source.NETWORK
    )
    return ProducerRecord(*to_message(command, GROUP, trace))
