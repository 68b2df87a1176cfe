"""/v1/merchants and /v1/webhook_endpoints: registration of merchants and endpoints."""

import re

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ingest_api.http.authentication import OPERATOR, Authenticator
from ingest_api.http.openapi_responses import problems
from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import bearer_token
from ingest_api.http.request_models import AddEndpoint, RegisterMerchant
from ingest_api.http.requests import ApiRequest, require_merchant_key
from ingest_api.http.response_models import EndpointView
from ingest_api.merchants.models import NewEndpoint, NewMerchant
from ingest_api.merchants.registration import Registration

_ENDPOINT_ID = re.compile(r"we_[0-9a-z]{20,40}")
_ERRORS = ("invalid_request", "body_too_large", "card_number_in_clear", "overloaded")
_OF_MERCHANTS = (*_ERRORS, "unauthenticated", "forbidden", "rate_limited")
_NOT_YET = {"Retry-After": "2"}


@post(
    "/v1/merchants",
    status_code=201,
    security=[{}, {"ApiKey": []}],
    responses=problems(*_ERRORS, "unauthenticated", "forbidden"),
    summary="Register a merchant",
)
async def register_merchant(
    request: ApiRequest,
    data: JSONBody[RegisterMerchant],
    registration: NamedDependency[Registration],
    authenticator: NamedDependency[Authenticator],
) -> Response[NewMerchant]:
    """The keys and the signing secret are shown this once. 202: they work in a few seconds."""
    sent = request.headers.get("authorization")
    is_operator = sent is not None and authenticator.identify(bearer_token(sent)) == OPERATOR
    if not is_operator and (data.sets_fees or not registration.is_open):
        raise ApiProblem("forbidden", "Only operators may do this. Use the operators' token.")
    created, known = await registration.register_merchant(data.details(), request.traceparent)
    return Response(created, status_code=201 if known else 202, headers=None if known else _NOT_YET)


@post(
    "/v1/webhook_endpoints",
    guards=[require_merchant_key],
    status_code=201,
    responses=problems(*_OF_MERCHANTS),
    summary="Add a webhook endpoint",
)
async def add_endpoint(
    request: ApiRequest, data: JSONBody[AddEndpoint], registration: NamedDependency[Registration]
) -> Response[NewEndpoint]:
    """The signing secret is shown this once. 202: events go there in a few seconds."""
    merchant, _ = request.caller.require_merchant()
    created, known = await registration.add_endpoint(
        merchant.merchant_id, data.url, request.traceparent
    )
    return Response(created, status_code=201 if known else 202, headers=None if known else _NOT_YET)


@get(
    "/v1/webhook_endpoints",
    guards=[require_merchant_key],
    responses=problems("unauthenticated", "forbidden", "rate_limited"),
    summary="The merchant's webhook endpoints",
)
async def list_endpoints(request: ApiRequest) -> list[EndpointView]:
    """Without secrets."""
    merchant, _ = request.caller.require_merchant()
    return [EndpointView(e.endpoint_id, e.url, e.enabled) for e in merchant.endpoints]


@delete(
    "/v1/webhook_endpoints/{endpoint_id:str}",
    guards=[require_merchant_key],
    status_code=204,
    responses=problems(*_OF_MERCHANTS, "not_found"),
    summary="Remove a webhook endpoint",
)
async def remove_endpoint(
    request: ApiRequest, endpoint_id: FromPath[str], registration: NamedDependency[Registration]
) -> None:
    """No further event goes there."""
    merchant, _ = request.caller.require_merchant()
    known = {endpoint.endpoint_id for endpoint in merchant.endpoints}
    if not _ENDPOINT_ID.fullmatch(endpoint_id) or endpoint_id not in known:
        raise ApiProblem("not_found")
    await registration.remove_endpoint(merchant.merchant_id, endpoint_id, request.traceparent)
