"""/v1/api_keys and /v1/producer_keys: a merchant's own keys, in the mode of the key that asks."""

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from ingest_api.http.key_models import (
    AddedProducerKey,
    AddProducerKey,
    ApiKeyView,
    IssueApiKey,
    IssuedApiKey,
    ProducerKeyView,
    RotateApiKey,
)
from ingest_api.http.key_requests import KeyRequests
from ingest_api.http.openapi_responses import KeyedOperation, problems
from ingest_api.http.requests import ApiRequest, requires
from ingest_api.merchants.keys import MerchantKeys
from schemas.enums import Scope

READ_ERRORS = ("unauthenticated", "forbidden", "scope_missing", "rate_limited", "starting")
DELETE_ERRORS = (*READ_ERRORS, "invalid_request", "not_found", "overloaded", "card_number_in_clear")
POST_ERRORS = (
    *DELETE_ERRORS,
    "idempotency_key_missing",
    "body_too_large",
    "unsupported_media_type",
    "idempotency_mismatch",
    "already_exists",
    "too_many_keys",
)
ISSUED = {
    200: ResponseSpec(
        IssuedApiKey, description="A repeat: without the key.", generate_examples=False
    ),
    202: ResponseSpec(
        IssuedApiKey, description="The key works in a few seconds.", generate_examples=False
    ),
    **problems(*POST_ERRORS),
}
ADDED = {
    200: ResponseSpec(AddedProducerKey, description="A repeat.", generate_examples=False),
    202: ResponseSpec(
        AddedProducerKey, description="The key counts in a few seconds.", generate_examples=False
    ),
    **problems(*POST_ERRORS),
}


@get(
    "/v1/api_keys",
    guards=[requires(Scope.READ)],
    responses=problems(*READ_ERRORS),
    summary="The merchant's API keys",
)
async def list_api_keys(request: ApiRequest) -> list[ApiKeyView]:
    """Those of the mode of the key that asks, without secrets."""
    merchant, mode = request.caller.require_merchant()
    return [ApiKeyView.of(key) for key in merchant.api_keys if key.mode == mode]


@post(
    "/v1/api_keys",
    guards=[requires(Scope.WRITE)],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ISSUED,
    summary="Issue an API key",
)
async def issue_api_key(
    request: ApiRequest, data: JSONBody[IssueApiKey], merchant_keys: NamedDependency[MerchantKeys]
) -> Response[IssuedApiKey]:
    """Shown this once. It has no scope that the key that asks has not."""
    merchant, _ = request.caller.require_merchant()
    return await KeyRequests(request, merchant_keys).issue(merchant, data)


@post(
    "/v1/api_keys/{key_id:str}/rotate",
    guards=[requires(Scope.WRITE)],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ISSUED,
    summary="Rotate an API key",
)
async def rotate_api_key(
    request: ApiRequest,
    key_id: FromPath[str],
    merchant_keys: NamedDependency[MerchantKeys],
    data: JSONBody[RotateApiKey | None] = None,
) -> Response[IssuedApiKey]:
    """A new key with the same scopes; the old one works for the overlap, a day unless said."""
    merchant, _ = request.caller.require_merchant()
    requests = KeyRequests(request, merchant_keys)
    return await requests.rotate(merchant, key_id, data or RotateApiKey())


@delete(
    "/v1/api_keys/{key_id:str}",
    guards=[requires(*Scope)],
    status_code=204,
    responses=problems(*DELETE_ERRORS),
    summary="Revoke an API key",
)
async def revoke_api_key(
    request: ApiRequest, key_id: FromPath[str], merchant_keys: NamedDependency[MerchantKeys]
) -> None:
    """It ends at once; within five seconds no process of the API takes it."""
    merchant, _ = request.caller.require_merchant()
    await KeyRequests(request, merchant_keys).revoke(merchant, key_id)


@get(
    "/v1/producer_keys",
    guards=[requires(Scope.READ)],
    responses=problems(*READ_ERRORS),
    summary="The merchant's producer keys",
)
async def list_producer_keys(request: ApiRequest) -> list[ProducerKeyView]:
    """Those of the mode of the key that asks."""
    merchant, mode = request.caller.require_merchant()
    return [ProducerKeyView.of(key) for key in merchant.producer_keys if key.mode == mode]


@post(
    "/v1/producer_keys",
    guards=[requires(*Scope)],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ADDED,
    summary="Add a producer key",
)
async def add_producer_key(
    request: ApiRequest,
    data: JSONBody[AddProducerKey],
    merchant_keys: NamedDependency[MerchantKeys],
) -> Response[AddedProducerKey]:
    """A command that it signed may ask for anything: the key that asks needs every scope."""
    merchant, _ = request.caller.require_merchant()
    return await KeyRequests(request, merchant_keys).add_producer_key(merchant, data)


@delete(
    "/v1/producer_keys/{key_id:str}",
    guards=[requires(*Scope)],
    status_code=204,
    responses=problems(*DELETE_ERRORS),
    summary="Remove a producer key",
)
async def remove_producer_key(
    request: ApiRequest, key_id: FromPath[str], merchant_keys: NamedDependency[MerchantKeys]
) -> None:
    """Nothing that it signed is taken any more."""
    merchant, _ = request.caller.require_merchant()
    await KeyRequests(request, merchant_keys).remove_producer_key(merchant, key_id)
