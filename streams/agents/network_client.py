"""The card network's HTTP interface: one call, and what its answer means."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from runtime.http_client import CONNECT_ERRORS, REQUEST_ERRORS, HttpClient, HttpResponse
from schemas.enums import Operation, Outcome
from schemas.network_results import NetworkResult, to_network_result
from schemas.records import NetworkRequest

REASON_CHARACTERS_MAX = 200
_OUTCOMES = frozenset(Outcome) - {Outcome.UNKNOWN, Outcome.NOT_PROCESSED}
_NOT_NOW = frozenset({401, 403, 408, 409, 425, 429})
"""Client errors that say nothing about the operation: fix our request, or wait for the network."""


class NotFound(msgspec.Struct, frozen=True):
    """The network has no operation with this key."""


class Unavailable(msgspec.Struct, frozen=True):
    """No response, or an inconclusive one; the operation may have taken effect."""

    reason: str


class NotProcessed(Unavailable, frozen=True):
    """The operation had no effect: no connection was made, or the network said so."""


class Rejected(msgspec.Struct, frozen=True):
    """The network rejected the request as it is: this call had no effect."""

    reason: str


Reply = NetworkResult | NotFound | Unavailable | Rejected


class _Body(msgspec.Struct, frozen=True):
    outcome: str
    network_reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None


class _NotNow(msgspec.Struct, frozen=True):
    processed: bool = True


class NetworkClient:
    """Bounded connections to the network; calls never raise for what the network does."""

    def __init__(self, url: str, timeout_seconds: float, connections_max: int) -> None:
        self._http = HttpClient(url, timeout_seconds, connections_max)

    async def operate(self, request: NetworkRequest, trace: str | None) -> Reply:
        """Request the operation under its key; a repeat has no second effect."""
        return await self._call("POST", "/v1/operations", trace, _refusal, json=body_of(request))

    async def status(self, operation_id: str, trace: str | None) -> Reply:
        """The status of the operation with this key."""
        return await self._call("GET", f"/v1/operations/{operation_id}", trace, _no_status)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _call(
        self,
        method: str,
        path: str,
        trace: str | None,
        refused: Callable[[HttpResponse], Reply],
        **options: Any,
    ) -> Reply:
        headers = {"traceparent": trace} if trace else {}
        try:
            response = await self._http.request(method, path, headers=headers, **options)
        except REQUEST_ERRORS as error:
            kind = NotProcessed if isinstance(error, CONNECT_ERRORS) else Unavailable
            return kind(f"{type(error).__name__}: {error}"[:REASON_CHARACTERS_MAX])
        return _understood(response, refused)


def body_of(request: NetworkRequest) -> dict[str, Any]:
    """The same body for the first call and for a repeat after a status inquiry."""
    body = {
        "idempotency_key": request.operation_id,
        "operation": request.subject_operation or request.operation,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "card": request.card,
        "network_reference": request.network_reference,
        "return_url": request.return_url,
    }
    if body["operation"] == Operation.AUTHORIZE:
        body["network_reference"] = None
    return {name: value for name, value in body.items() if value is not None}


def _understood(response: HttpResponse, refused: Callable[[HttpResponse], Reply]) -> Reply:
    status = response.status
    if 400 <= status < 500 and status not in _NOT_NOW:
        return refused(response)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _says_not_processed(response):
        return NotProcessed(f"HTTP {status}: not processed")
    if status != HTTPStatus.OK or not response.complete:
        return Unavailable(f"HTTP {status}")
    try:
        body = msgspec.json.decode(response.content, type=_Body)
    except msgspec.DecodeError as error:
        return Unavailable(f"unreadable answer: {error}"[:REASON_CHARACTERS_MAX])
    if body.outcome not in _OUTCOMES:
        return Unavailable(f"unknown outcome {body.outcome!r}"[:REASON_CHARACTERS_MAX])
    return to_network_result(
        body.outcome, body.network_reference, body.decline_code, body.action_url
    )


def _says_not_processed(response: HttpResponse) -> bool:
    """Only `"processed": false` counts; a 503 alone may come from any proxy in between."""
    try:
        return not msgspec.json.decode(response.content, type=_NotNow).processed
    except msgspec.DecodeError:
        return False


def _refusal(response: HttpResponse) -> Reply:
    return Rejected(f"HTTP {response.status}: {response.text}"[:REASON_CHARACTERS_MAX])


def _no_status(response: HttpResponse) -> Reply:
    return NotFound() if response.status == HTTPStatus.NOT_FOUND else _refusal(response)
