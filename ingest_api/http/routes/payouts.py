"""/v1/payouts: close a merchant's open items now."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ingest_api.commands.publisher import Publisher
from ingest_api.http.openapi_responses import problems
from ingest_api.http.problems import ApiProblem, invalid
from ingest_api.http.request_headers import IDEMPOTENCY_KEY, idempotency_key
from ingest_api.http.request_models import ClosePayouts
from ingest_api.http.requests import ApiRequest, require_authentication
from ingest_api.http.response_models import AcceptedPayoutRequest
from runtime.clock import now_ms
from runtime.id_generator import new_id
from runtime.merchant_registry import MerchantRegistry
from schemas import ids
from schemas.enums import Mode, PayoutRequestKind, Source
from schemas.records import PayoutRequest

_REQUEST_PREFIX = "por_"


@post(
    "/v1/payouts",
    guards=[require_authentication],
    status_code=202,
    responses=problems(
        "invalid_request",
        "unauthenticated",
        "forbidden",
        "not_found",
        "card_number_in_clear",
        "rate_limited",
        "overloaded",
    ),
    summary="Pay out now",
)
async def close_payouts(
    request: ApiRequest,
    publisher: NamedDependency[Publisher],
    registry: NamedDependency[MerchantRegistry],
    data: JSONBody[ClosePayouts | None] = None,
) -> Response[AcceptedPayoutRequest]:
    """With an Idempotency-Key, which is optional here, a repeat closes nothing again."""
    asked = data or ClosePayouts()
    merchant_id, mode = _merchant_id(request, asked, registry), _mode(request, asked)
    payout_request = PayoutRequest(
        request_id=_request_id(request, merchant_id, mode),
        merchant_id=merchant_id,
        mode=mode,
        kind=PayoutRequestKind.CLOSE.value,
        issued_at_ms=now_ms(),
        source=(Source.OPERATOR if request.caller.is_operator else Source.API).value,
        currency=asked.currency,
    )
    await publisher.publish(payout_request, request.traceparent)
    accepted = AcceptedPayoutRequest(payout_request.request_id, merchant_id, mode, asked.currency)
    return Response(accepted, status_code=202)


def _merchant_id(request: ApiRequest, asked: ClosePayouts, registry: MerchantRegistry) -> str:
    """Merchants close their own payouts; operators say whose."""
    caller = request.caller
    if caller.merchant is not None:
        own = caller.merchant.merchant_id
        if asked.merchant_id not in (None, own):
            raise ApiProblem("forbidden", "A merchant's key closes that merchant's payouts only.")
        return own
    if asked.merchant_id is None:
        raise invalid(
            "/merchant_id",
            "The merchant is missing. Operators must name the merchant whose payouts to close",
        )
    if registry.get(asked.merchant_id) is None:
        raise ApiProblem("not_found")
    return asked.merchant_id


def _mode(request: ApiRequest, asked: ClosePayouts) -> str:
    """A key's own mode; operators mean live money unless they say test."""
    own = request.caller.mode
    if own is None:
        return asked.mode or Mode.LIVE.value
    if asked.mode not in (None, own):
        raise ApiProblem("forbidden", f"A {own} key closes {own} payouts only.")
    return own


def _request_id(request: ApiRequest, merchant_id: str, mode: str) -> str:
    sent = request.headers.get(IDEMPOTENCY_KEY)
    if sent is None:
        return new_id(_REQUEST_PREFIX)
    return ids.derived_id(_REQUEST_PREFIX, merchant_id, mode, idempotency_key(sent))
