"""/v1/network_notifications: what the card network tells without being asked."""

from dataclasses import dataclass

from litestar import post
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.params import JSONBody

from ingest_api.commands.status_store import StatusUnavailable, payment_of
from ingest_api.http.notification_signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from ingest_api.http.openapi_responses import problems
from ingest_api.http.problems import try_again
from ingest_api.http.request_models import NetworkNotification
from ingest_api.http.requests import ApiRequest
from runtime.clock import now_ms
from schemas.network_results import RequestedOperation, answer_of, result_command

_RETRY_SECONDS = 2
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


@post(
    "/v1/network_notifications",
    status_code=202,
    security=[],
    operation_class=SignedOperation,
    responses=problems(
        "invalid_request",
        "unauthenticated",
        "body_too_large",
        "card_number_in_clear",
        "overloaded",
        "read_unavailable",
    ),
    summary="The card network tells what became of an operation",
)
async def take_notification(request: ApiRequest, data: JSONBody[NetworkNotification]) -> None:
    """202 once Kafka has it as a command. A repeat, or what the payment knows, changes nothing."""
    sent = [request.headers.get(name, "") for name in _HEADERS]
    request.parts.notifications.check(*sent, body=await request.body())
    payment_id = data.idempotency_key.partition(":")[0]
    merchant_id, mode = await _owner(request, payment_id)
    asked = RequestedOperation(
        payment_id=payment_id,
        merchant_id=merchant_id,
        mode=mode,
        operation=data.operation,
        operation_id=data.idempotency_key,
        attempt=1,  # the network does not count our attempts: only the first is surely answered
    )
    answer = answer_of(data.outcome, data.network_reference, data.decline_code, data.action_url)
    command = result_command(asked, answer, now_ms())
    await request.parts.publisher.payment_command(command, request.traceparent)


async def _owner(request: ApiRequest, payment_id: str) -> tuple[str, str]:
    """Merchant and mode. Raises ApiProblem (503) for a payment that is not readable yet."""
    try:
        [view] = await request.parts.store.documents(f"payment:{payment_id}")
        payment = payment_of(view)
    except StatusUnavailable as error:
        raise try_again("read_unavailable", _RETRY_SECONDS) from error
    if payment is None:
        raise try_again("read_unavailable", _RETRY_SECONDS, "The payment is not known yet.")
    return payment.merchant_id, payment.mode
