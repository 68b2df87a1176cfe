"""/v1/merchants and /v1/webhook_endpoints: registration of merchants and endpoints."""

from typing import Any

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from ingest_api.http.authentication import OPERATOR, Authenticator
from ingest_api.http.openapi_responses import KeyedOperation, problems
from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import bearer_token
from ingest_api.http.request_models import AddEndpoint, RegisterMerchant
from ingest_api.http.requests import ApiRequest, admit_registration, requires
from ingest_api.http.response_models import EndpointView, made_response
from ingest_api.merchants.models import Act, KeyedAct, NewEndpoint, NewMerchant
from ingest_api.merchants.registration import Registration, enabled_endpoints
from schemas.enums import Mode, Scope
from schemas.merchant_bounds import ENDPOINTS_MAX

_ERRORS = (
    "invalid_request",
    "idempotency_key_missing",
    "body_too_large",
    "unsupported_media_type",
    "card_number_in_clear",
    "idempotency_mismatch",
    "unauthenticated",
    "forbidden",
    "rate_limited",
    "overloaded",
    "starting",
)
_OF_MERCHANTS = (*_ERRORS, "scope_missing")
_READ = ("unauthenticated", "forbidden", "scope_missing", "rate_limited", "starting")


@post(
    "/v1/merchants",
    status_code=201,
    operation_class=KeyedOperation,
    security=[{}, {"ApiKey": []}],
    responses={
        200: ResponseSpec(
            NewMerchant, description="A repeat: without secrets.", generate_examples=False
        ),
        202: ResponseSpec(
            NewMerchant, description="The keys work in a few seconds.", generate_examples=False
        ),
        **problems(*_ERRORS),
    },
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
    if not is_operator:
        await admit_registration(request)
    request.scope["user"] = OPERATOR
    request.check_url("webhook_url", data.webhook_url)
    owner = "operator" if is_operator else "registration"
    act = request.act if is_operator else Act(owner, None, request.traceparent)
    keyed, repeated = await request.keyed(owner, "", "register", data.meaning())
    created, known = await registration.register_merchant(KeyedAct(act, keyed), data.details())
    return made_response(created, known=known, repeated=repeated)


@post(
    "/v1/webhook_endpoints",
    guards=[requires(Scope.WRITE)],
    status_code=201,
    operation_class=KeyedOperation,
    responses={
        200: ResponseSpec(
            NewEndpoint, description="A repeat: without the secret.", generate_examples=False
        ),
        202: ResponseSpec(
            NewEndpoint, description="Events go there in a few seconds.", generate_examples=False
        ),
        **problems(*_OF_MERCHANTS, "too_many_endpoints"),
    },
    summary="Add a webhook endpoint",
)
async def add_endpoint(
    request: ApiRequest, data: JSONBody[AddEndpoint], registration: NamedDependency[Registration]
) -> Response[NewEndpoint]:
    """Events of the key's mode go there. The signing secret is shown this once."""
    merchant, mode = request.caller.require_merchant()
    request.check_url("url", data.url)
    meaning: dict[str, Any] = {"url": data.url}
    keyed, repeated = await request.keyed(merchant.merchant_id, mode, "add_endpoint", meaning)
    if not repeated and len(enabled_endpoints(merchant)) >= ENDPOINTS_MAX:
        raise ApiProblem("too_many_endpoints")
    created, known = await registration.add_endpoint(
        KeyedAct(request.act, keyed), merchant.merchant_id, data.url, mode
    )
    return made_response(created, known=known, repeated=repeated)


@get(
    "/v1/webhook_endpoints",
    guards=[requires(Scope.READ)],
    responses=problems(*_READ),
    summary="The merchant's webhook endpoints",
)
async def list_endpoints(request: ApiRequest) -> list[EndpointView]:
    """Those that get events of the key's mode; without secrets."""
    merchant, mode = request.caller.require_merchant()
    return [
        EndpointView(e.endpoint_id, e.url, e.enabled, e.mode)
        for e in merchant.endpoints
        if e.enabled and e.mode in (None, mode)
    ]


@delete(
    "/v1/webhook_endpoints/{endpoint_id:str}",
    guards=[requires(Scope.WRITE)],
    status_code=204,
    responses=problems(*_OF_MERCHANTS, "not_found"),
    summary="Remove a webhook endpoint",
)
async def remove_endpoint(
    request: ApiRequest, endpoint_id: FromPath[str], registration: NamedDependency[Registration]
) -> None:
    """No further event goes there. One that gets both modes' events needs a live key."""
    merchant, mode = request.caller.require_merchant()
    enabled = {e.endpoint_id: e for e in merchant.endpoints if e.enabled}
    found = enabled.get(endpoint_id)
    if found is None or found.mode not in (None, mode):
        raise ApiProblem("not_found")
    if found.mode is None and mode != Mode.LIVE:
        raise ApiProblem("forbidden", "Live events go there as well. Use a live key to remove it.")
    await registration.remove_endpoint(request.act, merchant.merchant_id, endpoint_id)
