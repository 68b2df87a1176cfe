"""The network agent: intents in, calls with one key each, outcomes back as commands.

Rules, because money may move:
- every call about an operation carries its operation_id as idempotency key; so all may be repeated;
- a call without a clear answer is repeated, then the status is asked for; without that the outcome
  is `unknown`, never `failed`;
- `failed` is the network's own word; or a refusal of the request as it is, when the network has
  seen no other copy; or an authorization that it has not seen long after it was asked for. That
  one may still arrive late: it holds money for days and charges nothing, since captures charge;
- a status request that finds a capture, refund or void unseen asks for it again under its key;
- an authorization goes to the fallback only if the first network surely has not got it: every call
  found no connection, an open breaker or a 503 that says "not processed", and no earlier owner of
  the partition may have called. The domain is told (`not_processed`) and asks the fallback by a
  request of its own, with a key of its own: the choice is durable before the call.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from engine import ProducerRecord, Record, Retry
from runtime.clock import now_ms
from runtime.telemetry import counter, gauge, histogram
from schemas.codec import encode
from schemas.enums import Network, Operation, Outcome
from schemas.headers import TRACEPARENT, record_headers
from schemas.network_results import NetworkAnswer, RequestedOperation, result_command
from schemas.records import NetworkRequest
from schemas.topics import PAYMENTS_COMMANDS
from streams.agents.network_client import (
    NetworkClient,
    NotFound,
    NotProcessed,
    Refused,
    Reply,
    Unavailable,
)
from streams.agents.network_gateway import CircuitOpen, NetworkRoute, patience
from streams.settings import NetworkSettings
from workers.catalogue import WORKERS

GROUP = WORKERS["network"].group
NO_ROUTE_SECONDS = 30.0
PERHAPS_ASKED_MAX = 10_000
_MS = 1000


class NetworkCallHandler:
    """Call function of the lane over `network.requests`.

    `is_new(record)`: no earlier owner of its partition can have called for it.
    """

    def __init__(
        self,
        clients: Mapping[str, NetworkClient],
        settings: NetworkSettings,
        is_new: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        self._routes = {
            name: NetworkRoute(name, client, settings) for name, client in clients.items()
        }
        self._settings = settings
        self._is_new = is_new
        self._possibly_sent: OrderedDict[str, None] = OrderedDict()

    async def call(self, record: Record) -> list[ProducerRecord]:
        """The result of one intent, as a command. Raises Retry while the breaker is open."""
        request: NetworkRequest = record.value
        trace = record.headers.get(TRACEPARENT)
        in_flight = gauge("paystream_network_in_flight")
        with in_flight.track_inprogress(), _seconds(request):
            new = self._is_new(record)
            answer = await self.outcome_of(request, trace.decode() if trace else None, new=new)
        counter("paystream_network_calls_total").labels(request.operation, answer.outcome).inc()
        return [result_record(request, answer, now_ms(), trace)]

    async def outcome_of(
        self, request: NetworkRequest, trace: str | None = None, *, new: bool = False
    ) -> NetworkAnswer:
        """What became of the operation, as far as can be known now."""
        name = request.network or Network.PRIMARY
        route = self._routes.get(name)
        if route is None:
            variable = f"NETWORK_{name.upper()}_URL"
            raise Retry(NO_ROUTE_SECONDS, f"a payment is at the {name} network: set {variable}")
        if request.operation == Operation.STATUS:
            return await self._resolve(route, request, trace)
        if new and self._can_fail_over(request):
            return await self._authorize(route, request, trace)
        return await self._perform(route, request, trace)

    def _can_fail_over(self, request: NetworkRequest) -> bool:
        return (
            request.operation == Operation.AUTHORIZE
            and request.network is None
            and request.card is not None
            and Network.FALLBACK in self._routes
            and request.operation_id not in self._possibly_sent
        )

    async def _authorize(
        self, route: NetworkRoute, request: NetworkRequest, trace: str | None
    ) -> NetworkAnswer:
        """The first call for an authorization; one that is broken off may have reached it."""
        key = request.operation_id
        self._possibly_sent[key] = None
        if len(self._possibly_sent) > PERHAPS_ASKED_MAX:
            self._possibly_sent.popitem(last=False)
        reply = await route.persist(lambda: route.client.operate(request, trace))
        if isinstance(reply, NotProcessed):
            answer = NetworkAnswer(outcome=Outcome.NOT_PROCESSED, reason=reply.reason)
        else:
            answer = await self._concluded(route, request, reply, trace)
        self._possibly_sent.pop(key, None)
        return answer

    async def _perform(
        self, route: NetworkRoute, request: NetworkRequest, trace: str | None
    ) -> NetworkAnswer:
        reply = await route.persist(lambda: route.client.operate(request, trace))
        if isinstance(reply, CircuitOpen):
            patience(reply)
        return await self._concluded(route, request, reply, trace)

    async def _concluded(
        self, route: NetworkRoute, request: NetworkRequest, reply: Reply, trace: str | None
    ) -> NetworkAnswer:
        """What a reply to the operation means; without a clear one, the status is asked for."""
        if isinstance(reply, NetworkAnswer):
            return reply
        status = await route.tried(lambda: route.client.status(request.operation_id, trace))
        if isinstance(status, NetworkAnswer):
            return status
        if isinstance(reply, Refused) and isinstance(status, NotFound):
            return NetworkAnswer(outcome=Outcome.FAILED, reason=reply.reason)
        return _unknown(reply)

    async def _resolve(
        self, route: NetworkRoute, request: NetworkRequest, trace: str | None
    ) -> NetworkAnswer:
        reply = await route.persist(lambda: route.client.status(request.operation_id, trace))
        if isinstance(reply, NetworkAnswer):
            return reply
        if isinstance(reply, CircuitOpen):
            patience(reply)
        if not isinstance(reply, NotFound):
            return _unknown(reply)
        if request.subject_operation == Operation.AUTHORIZE:
            return self._never_authorized(request)
        return await self._perform(route, request, trace)

    def _never_authorized(self, request: NetworkRequest) -> NetworkAnswer:
        """The card is kept nowhere, so that an authorization cannot be asked for again."""
        first_ms = request.first_requested_at_ms or request.requested_at_ms
        if now_ms() - first_ms < self._settings.not_found_timeout_seconds * _MS:
            return _unknown(NotFound())
        return NetworkAnswer(outcome=Outcome.FAILED, reason="the network never saw it")


def _seconds(request: NetworkRequest):  # type: ignore[no-untyped-def] # prometheus' own type
    return histogram("paystream_network_call_seconds").labels(request.operation).time()


def _unknown(reply: Reply) -> NetworkAnswer:
    reason = reply.reason if isinstance(reply, Unavailable | Refused) else "not seen yet"
    return NetworkAnswer(outcome=Outcome.UNKNOWN, reason=reason)


def asked_operation(request: NetworkRequest) -> RequestedOperation:
    """What a request asks about."""
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
    request: NetworkRequest, answer: NetworkAnswer, issued_at_ms: int, trace: bytes | None
) -> ProducerRecord:
    """The command as a record for payments.commands."""
    card = request.card if answer.outcome == Outcome.NOT_PROCESSED else None
    command = result_command(asked_operation(request), answer, issued_at_ms, card)
    headers = record_headers(command.command_id, command.kind, issued_at_ms, GROUP, trace)
    return ProducerRecord(PAYMENTS_COMMANDS, command.payment_id, encode(command), headers)
