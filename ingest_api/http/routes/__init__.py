"""HTTP routes, a module for each resource."""

from enum import StrEnum

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from ingest_api.http.routes import (
    administration,
    contracts,
    keys,
    merchants,
    network,
    operations,
    payments,
    payouts,
)

_REGISTRATION: list[HTTPRouteHandler] = [merchants.register_merchant]
_OF_MERCHANTS: list[HTTPRouteHandler] = [
    payments.create_payment,
    payments.get_payment,
    payments.capture_payment,
    payments.void_payment,
    payments.refund_payment,
    payments.complete_action,
    merchants.add_endpoint,
    merchants.list_endpoints,
    merchants.remove_endpoint,
    keys.list_api_keys,
    keys.issue_api_key,
    keys.rotate_api_key,
    keys.revoke_api_key,
    keys.list_producer_keys,
    keys.add_producer_key,
    keys.remove_producer_key,
    payouts.close_payouts,
    network.receive_notification,
]
_OF_OPERATORS: list[HTTPRouteHandler] = [
    administration.get_merchant,
    administration.change_merchant,
    administration.list_merchant_api_keys,
    administration.issue_merchant_api_key,
    administration.rotate_merchant_api_key,
    administration.revoke_merchant_api_key,
    administration.list_merchant_producer_keys,
    administration.add_merchant_producer_key,
    administration.remove_merchant_producer_key,
]
_DOCUMENTS: list[HTTPRouteHandler] = [
    contracts.subjects,
    contracts.versions,
    contracts.version,
    contracts.schema_by_id,
    contracts.schema_text_by_id,
    contracts.schema_types,
    contracts.compatibility,
    contracts.openapi,
    contracts.asyncapi,
    operations.problem_type,
    operations.jwks,
]
_PROBES: list[HTTPRouteHandler] = [operations.livez, operations.readyz, operations.metrics]


def _with_options(handlers: list[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """And an OPTIONS handler for each path: the framework's own one names the first method only."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    return [*(_allowing(path, sorted(names)) for path, names in methods.items()), *handlers]


def _allowing(path: str, methods: list[str]) -> HTTPRouteHandler:
    @route(
        path,
        http_method=["OPTIONS"],
        status_code=204,
        include_in_schema=False,
        sync_to_thread=False,
    )
    def allow() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": ", ".join(methods)})

    return allow


ROUTES = [*_OF_MERCHANTS, *_REGISTRATION, *_OF_OPERATORS, *_DOCUMENTS, *_PROBES]


class Face(StrEnum):
    """What one address serves."""

    MERCHANTS = "merchants"
    OPERATORS = "operators"
    PROBES = "probes"


def faces(*, admin_apart: bool, probes_apart: bool) -> dict[Face, list[HTTPRouteHandler]]:
    """Each address and its routes: those that have no address of their own are the merchants'."""
    found = {Face.MERCHANTS: [*_OF_MERCHANTS, *_DOCUMENTS]}
    operators = [*_REGISTRATION, *_OF_OPERATORS]
    if admin_apart:
        shared: list[HTTPRouteHandler] = [payments.get_payment, payouts.close_payouts]
        found[Face.OPERATORS] = [*operators, *shared, operations.problem_type]
    else:
        found[Face.MERCHANTS] += operators
    if probes_apart:
        found[Face.PROBES] = [*_PROBES]
    else:
        found[Face.MERCHANTS] += _PROBES
    return {face: _with_options(handlers) for face, handlers in found.items()}
