"""/v1/network_notifications: results that the card network reports on its own."""

from dataclasses import dataclass
from typing import Any, cast

from litestar import post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.params import JSONBody

from ingest_api.commands.network_notifications import NetworkNotifications
from ingest_api.http.notification_signature import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
)
from ingest_api.http.openapi_responses import problems
from ingest_api.http.request_models import NetworkNotification
from ingest_api.http.requests import ApiRequest
from ingest_api.services import Services
from schemas.network_results import to_network_result

_HEADERS = {
    ID_HEADER: "Of this notification; the same at each repeat.",
    TIMESTAMP_HEADER: "When it was signed, Unix seconds; five minutes at most from now.",
    SIGNATURE_HEADER: "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`, by shared secret.",
}


@dataclass
class SignedOperation(Operation):
    """An operation whose caller signs as Standard Webhooks does."""

    def __post_init__(self) -> None:
        signature = [
            Parameter(
                name=name,
                param_in="header",
                required=True,
                description=text,
                schema=Schema(type=OpenAPIType.STRING),
            )
            for name, text in _HEADERS.items()
        ]
        self.parameters = [*(self.parameters or []), *signature]


async def _require_signature(
    connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
) -> None:
    """Guard: nothing of a body is read before its signature is checked. Raises ApiProblem."""
    request = cast(ApiRequest, connection)
    sent = [request.headers.get(name, "") for name in _HEADERS]
    guard = cast(Services, connection.app.state.services).notification_guard
    guard.check(*sent, body=await request.body())


@post(
    "/v1/network_notifications",
    guards=[_require_signature],
    status_code=202,
    security=[],
    operation_class=SignedOperation,
    responses=problems(
        "invalid_request",
        "unauthenticated",
        "body_too_large",
        "unsupported_media_type",
        "card_number_in_clear",
        "overloaded",
        "read_unavailable",
    ),
    summary="The card network reports the result of an operation",
)
async def receive_notification(
    request: ApiRequest,
    data: JSONBody[NetworkNotification],
    notifications: NamedDependency[NetworkNotifications],
) -> None:
    """202 once Kafka has it as a command. A repeat, or what the payment knows, changes nothing."""
    result = to_network_result(
        data.outcome, data.network_reference, data.decline_code, data.action_url
    )
    await notifications.submit(data.operation, data.idempotency_key, result, request.traceparent)
