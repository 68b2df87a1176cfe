"""HTTP routes, a module for each resource."""

from litestar.handlers import HTTPRouteHandler

from ingest_api.http.routes import contracts, merchants, network, operations, payments, payouts

ROUTES: list[HTTPRouteHandler] = [
    payments.create_payment,
    payments.get_payment,
    payments.capture_payment,
    payments.void_payment,
    payments.refund_payment,
    payments.complete_action,
    merchants.register_merchant,
    merchants.add_endpoint,
    merchants.list_endpoints,
    merchants.remove_endpoint,
    payouts.close_payouts,
    network.receive_notification,
    contracts.subjects,
    contracts.versions,
    contracts.version,
    contracts.schema_by_id,
    contracts.schema_text_by_id,
    contracts.schema_types,
    contracts.compatibility,
    contracts.openapi,
    contracts.asyncapi,
    operations.livez,
    operations.readyz,
    operations.metrics,
    operations.problem_type,
    operations.jwks,
]
