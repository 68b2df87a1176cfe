"""HTTP routes, a module for each resource."""

from litestar.handlers import HTTPRouteHandler

from ingest_api.routes import operations, payments

ROUTES: list[HTTPRouteHandler] = [
    payments.create_payment,
    payments.get_payment,
    payments.capture_payment,
    payments.void_payment,
    payments.refund_payment,
    payments.complete_action,
    operations.livez,
    operations.readyz,
    operations.metrics,
    operations.problem_type,
    operations.card_key,
]
