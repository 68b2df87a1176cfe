"""/v1/merchants/{merchant_id}: what operators decide about a merchant and its keys."""

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from ingest_api.http.key_models import (
    AddedProducerKey,
    AddProducerKey,
    ApiKeyView,
    ChangeMerchant,
    IssueApiKey,
    IssuedApiKey,
    MerchantView,
    ProducerKeyView,
    RotateApiKey,
)
from ingest_api.http.key_requests import KeyRequests
from ingest_api.http.openapi_responses import KeyedOperation, problems
from ingest_api.http.problems import ApiProblem
from ingest_api.http.requests import ApiRequest, require_operator
from ingest_api.http.routes.keys import ADDED, DELETE_ERRORS, ISSUED, READ_ERRORS
from ingest_api.merchants.administration import Administration
from ingest_api.merchants.keys import MerchantKeys
from runtime.merchant_registry import MerchantRegistry
from schemas.enums import MerchantStatus
from schemas.records import Merchant

_TAGS = ["operators"]
_READ = problems(*READ_ERRORS, "not_found")
_DELETE = problems(*DELETE_ERRORS)


@get(
    "/v1/merchants/{merchant_id:str}",
    guards=[require_operator],
    responses=_READ,
    tags=_TAGS,
    summary="A merchant as it is now",
)
async def get_merchant(
    merchant_id: FromPath[str], registry: NamedDependency[MerchantRegistry]
) -> MerchantView:
    """Without secrets."""
    return MerchantView.of(_known(registry, merchant_id))


@patch(
    "/v1/merchants/{merchant_id:str}",
    guards=[require_operator],
    status_code=200,
    responses={
        202: ResponseSpec(
            MerchantView, description="It counts in a few seconds.", generate_examples=False
        ),
        **problems(*DELETE_ERRORS, "body_too_large", "unsupported_media_type", "wrong_state"),
    },
    tags=_TAGS,
    summary="Change a merchant's status, modes, limits or fees",
)
async def change_merchant(
    request: ApiRequest,
    merchant_id: FromPath[str],
    data: JSONBody[ChangeMerchant],
    administration: NamedDependency[Administration],
    registry: NamedDependency[MerchantRegistry],
) -> Response[MerchantView]:
    """What is absent stays as it is. Closed is the end of a merchant."""
    merchant = _known(registry, merchant_id)
    asked = data.change()
    if merchant.status == MerchantStatus.CLOSED and asked.status not in (None, merchant.status):
        raise ApiProblem("wrong_state", "This merchant is closed. Register another one.")
    known = await administration.change(request.act, merchant, asked)
    view = MerchantView.of(_known(registry, merchant_id))
    return Response(view, status_code=200 if known else 202)


@get(
    "/v1/merchants/{merchant_id:str}/api_keys",
    guards=[require_operator],
    responses=_READ,
    tags=_TAGS,
    summary="A merchant's API keys",
)
async def list_merchant_api_keys(
    merchant_id: FromPath[str], registry: NamedDependency[MerchantRegistry]
) -> list[ApiKeyView]:
    """Of both modes, without secrets."""
    return [ApiKeyView.of(key) for key in _known(registry, merchant_id).api_keys]


@post(
    "/v1/merchants/{merchant_id:str}/api_keys",
    guards=[require_operator],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ISSUED,
    tags=_TAGS,
    summary="Issue an API key to a merchant",
)
async def issue_merchant_api_key(
    request: ApiRequest,
    merchant_id: FromPath[str],
    data: JSONBody[IssueApiKey],
    merchant_keys: NamedDependency[MerchantKeys],
    registry: NamedDependency[MerchantRegistry],
) -> Response[IssuedApiKey]:
    """Shown this once. `mode` must be named."""
    merchant = _known(registry, merchant_id)
    return await KeyRequests(request, merchant_keys).issue(merchant, data)


@post(
    "/v1/merchants/{merchant_id:str}/api_keys/{key_id:str}/rotate",
    guards=[require_operator],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ISSUED,
    tags=_TAGS,
    summary="Rotate an API key of a merchant",
)
async def rotate_merchant_api_key(
    request: ApiRequest,
    merchant_id: FromPath[str],
    key_id: FromPath[str],
    merchant_keys: NamedDependency[MerchantKeys],
    registry: NamedDependency[MerchantRegistry],
    data: JSONBody[RotateApiKey | None] = None,
) -> Response[IssuedApiKey]:
    """A new key with the same scopes; the old one works for the overlap, a day unless said."""
    merchant = _known(registry, merchant_id)
    requests = KeyRequests(request, merchant_keys)
    return await requests.rotate(merchant, key_id, data or RotateApiKey())


@delete(
    "/v1/merchants/{merchant_id:str}/api_keys/{key_id:str}",
    guards=[require_operator],
    status_code=204,
    responses=_DELETE,
    tags=_TAGS,
    summary="Revoke an API key of a merchant",
)
async def revoke_merchant_api_key(
    request: ApiRequest,
    merchant_id: FromPath[str],
    key_id: FromPath[str],
    merchant_keys: NamedDependency[MerchantKeys],
    registry: NamedDependency[MerchantRegistry],
) -> None:
    """It ends at once; within five seconds no process of the API takes it."""
    await KeyRequests(request, merchant_keys).revoke(_known(registry, merchant_id), key_id)


@get(
    "/v1/merchants/{merchant_id:str}/producer_keys",
    guards=[require_operator],
    responses=_READ,
    tags=_TAGS,
    summary="A merchant's producer keys",
)
async def list_merchant_producer_keys(
    merchant_id: FromPath[str], registry: NamedDependency[MerchantRegistry]
) -> list[ProducerKeyView]:
    """Of both modes."""
    return [ProducerKeyView.of(key) for key in _known(registry, merchant_id).producer_keys]


@post(
    "/v1/merchants/{merchant_id:str}/producer_keys",
    guards=[require_operator],
    status_code=201,
    operation_class=KeyedOperation,
    responses=ADDED,
    tags=_TAGS,
    summary="Add a producer key to a merchant",
)
async def add_merchant_producer_key(
    request: ApiRequest,
    merchant_id: FromPath[str],
    data: JSONBody[AddProducerKey],
    merchant_keys: NamedDependency[MerchantKeys],
    registry: NamedDependency[MerchantRegistry],
) -> Response[AddedProducerKey]:
    """`mode` must be named."""
    merchant = _known(registry, merchant_id)
    return await KeyRequests(request, merchant_keys).add_producer_key(merchant, data)


@delete(
    "/v1/merchants/{merchant_id:str}/producer_keys/{key_id:str}",
    guards=[require_operator],
    status_code=204,
    responses=_DELETE,
    tags=_TAGS,
    summary="Remove a producer key of a merchant",
)
async def remove_merchant_producer_key(
    request: ApiRequest,
    merchant_id: FromPath[str],
    key_id: FromPath[str],
    merchant_keys: NamedDependency[MerchantKeys],
    registry: NamedDependency[MerchantRegistry],
) -> None:
    """Nothing that it signed is taken any more."""
    merchant = _known(registry, merchant_id)
    await KeyRequests(request, merchant_keys).remove_producer_key(merchant, key_id)


def _known(registry: MerchantRegistry, merchant_id: str) -> Merchant:
    merchant = registry.get(merchant_id)
    if merchant is None and not registry.ready:
        raise ApiProblem("starting", headers={"Retry-After": "1"})
    if merchant is None:
        raise ApiProblem("not_found")
    return merchant
