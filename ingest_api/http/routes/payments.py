"""/v1/payments: commands in, views out."""

import re
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace

from ingest_api.commands.documents import Payment
from ingest_api.commands.payment_reader import Owner, PaymentReader
from ingest_api.commands.submission import PaymentCommands, Submitted
from ingest_api.http.authentication import Caller
from ingest_api.http.openapi_responses import PaymentOperation, problems
from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_models import CapturePayment, CreatePayment, EmptyBody, RefundPayment
from ingest_api.http.requests import ApiRequest, requires
from ingest_api.http.response_models import REPLAYED, AcceptedCommand, NewPayment, PendingPayment
from runtime.clock import now_ms
from schemas import ids
from schemas.enums import CommandKind, PaymentStatus, Scope, Source
from schemas.payment_commands import command_fingerprint
from schemas.payment_commands import refund_id as derived_refund_id
from schemas.records import PaymentCommand

UNKNOWN_PAYMENT_WAIT_SECONDS = 2.0
"""How long a command to a payment that Valkey does not know waits for the worker's answer."""
_PAYMENT_ID = re.compile(r"pay_[0-9a-z]{26}")
_ERRORS = (
    "invalid_request",
    "idempotency_key_missing",
    "unauthenticated",
    "forbidden",
    "scope_missing",
    "body_too_large",
    "unsupported_media_type",
    "card_number_in_clear",
    "idempotency_mismatch",
    "rate_limited",
    "overloaded",
)
_ON_A_PAYMENT = (
    *_ERRORS,
    "not_found",
    "wrong_state",
    "outcome_pending",
    "amount_too_large",
    "command_rejected",
)
_DECIDED = {
    200: ResponseSpec(
        Payment, description="The outcome; with `Prefer: wait` only.", generate_examples=False
    )
}
_OF_CREATE = {**_DECIDED, **problems(*_ERRORS)}
_OF_COMMAND = {**_DECIDED, **problems(*_ON_A_PAYMENT)}


@post(
    "/v1/payments",
    guards=[requires(Scope.WRITE)],
    status_code=202,
    operation_class=PaymentOperation,
    responses=_OF_CREATE,
    summary="Create a payment",
)
async def create_payment(
    request: ApiRequest,
    data: JSONBody[CreatePayment],
    payment_commands: NamedDependency[PaymentCommands],
) -> Response[NewPayment]:
    """202 once Kafka has the command; with `Prefer: wait=N` 200 when the network has answered."""
    merchant, mode = request.caller.require_merchant()
    request.check_url("return_url", data.return_url)
    limit = merchant.payment_amount_minor_max
    if limit is not None and data.amount > limit:
        raise ApiProblem("amount_too_large", "The amount is above this merchant's limit.")
    key = request.idempotency_key
    payment_id = ids.payment_id(merchant.merchant_id, mode, key)
    command = _command(
        request.caller,
        payment_id,
        CommandKind.CREATE,
        key,
        amount_minor=data.amount,
        currency=data.currency,
        capture_method=data.capture_method,
        capture_delay_seconds=data.capture_delay_seconds,
        card=data.card,
        reference=data.reference,
        return_url=data.return_url,
        fee_basis_points=merchant.fee_basis_points,
        fee_fixed_minor=merchant.fee_fixed_minor,
    )
    accepted = NewPayment(
        id=payment_id,
        merchant_id=merchant.merchant_id,
        mode=mode,
        status=PaymentStatus.NEW.value,
        amount=data.amount,
        currency=data.currency,
        capture_method=data.capture_method,
        reference=data.reference,
        command_id=command.command_id,
    )
    submitted = await payment_commands.submit(command, request.traceparent)
    payment = await payment_commands.outcomes.wait_for_outcome(command, request.wait_seconds)
    return _response(request, command.payment_id, submitted, payment or accepted)


@get(
    "/v1/payments/{payment_id:str}",
    guards=[requires(Scope.READ, operators=True)],
    responses=problems(
        "unauthenticated",
        "forbidden",
        "scope_missing",
        "not_found",
        "rate_limited",
        "read_unavailable",
    ),
    summary="A payment as it is now",
)
async def get_payment(
    request: ApiRequest,
    payment_id: FromPath[str],
    payment_reader: NamedDependency[PaymentReader],
) -> Payment | PendingPayment:
    """Milliseconds behind the events; status `new` until a worker has handled the command."""
    _check_id(payment_id)
    merchant, mode = request.caller.merchant, request.caller.mode
    owner = Owner(merchant.merchant_id, mode) if merchant and mode else None
    payment = await payment_reader.find(payment_id, owner)
    if payment is not None:
        return payment
    return PendingPayment(
        id=payment_id,
        merchant_id=owner.merchant_id if owner else "",
        mode=owner.mode if owner else "",
        status=PaymentStatus.NEW.value,
    )


@post(
    "/v1/payments/{payment_id:str}/capture",
    guards=[requires(Scope.WRITE)],
    status_code=202,
    operation_class=PaymentOperation,
    responses=_OF_COMMAND,
    summary="Capture an authorized payment",
)
async def capture_payment(
    request: ApiRequest,
    payment_id: FromPath[str],
    payment_commands: NamedDependency[PaymentCommands],
    data: JSONBody[CapturePayment | None] = None,
) -> Response[AcceptedCommand]:
    """The whole rest without an amount; `final` releases what is left of the authorization."""
    asked = data or CapturePayment()
    return await _submit(
        request,
        payment_commands,
        payment_id,
        CommandKind.CAPTURE,
        amount_minor=asked.amount_minor,
        final=asked.is_final,
    )


@post(
    "/v1/payments/{payment_id:str}/void",
    guards=[requires(Scope.WRITE)],
    status_code=202,
    operation_class=PaymentOperation,
    responses=_OF_COMMAND,
    summary="Release an authorization",
)
async def void_payment(
    request: ApiRequest,
    payment_id: FromPath[str],
    payment_commands: NamedDependency[PaymentCommands],
    data: JSONBody[EmptyBody | None] = None,
) -> Response[AcceptedCommand]:
    """Nothing of it may be captured."""
    return await _submit(request, payment_commands, payment_id, CommandKind.VOID)


@post(
    "/v1/payments/{payment_id:str}/refunds",
    guards=[requires(Scope.REFUNDS)],
    status_code=202,
    operation_class=PaymentOperation,
    responses=_OF_COMMAND,
    summary="Refund a captured payment",
)
async def refund_payment(
    request: ApiRequest,
    payment_id: FromPath[str],
    payment_commands: NamedDependency[PaymentCommands],
    data: JSONBody[RefundPayment | None] = None,
) -> Response[AcceptedCommand]:
    """All that is captured and not refunded, or an amount of it."""
    asked = data or RefundPayment()
    refund_id = derived_refund_id(payment_id, request.idempotency_key)
    return await _submit(
        request,
        payment_commands,
        payment_id,
        CommandKind.REFUND,
        amount_minor=asked.amount_minor,
        refund_id=refund_id,
    )


@post(
    "/v1/payments/{payment_id:str}/complete_action",
    guards=[requires(Scope.WRITE)],
    status_code=202,
    operation_class=PaymentOperation,
    responses=_OF_COMMAND,
    summary="Go on after 3-D Secure",
)
async def complete_action(
    request: ApiRequest,
    payment_id: FromPath[str],
    payment_commands: NamedDependency[PaymentCommands],
    data: JSONBody[EmptyBody | None] = None,
) -> Response[AcceptedCommand]:
    """The customer came back from action_url: the network is asked for the answer."""
    return await _submit(request, payment_commands, payment_id, CommandKind.COMPLETE_ACTION)


def _check_id(payment_id: str) -> None:
    if not _PAYMENT_ID.fullmatch(payment_id):
        raise ApiProblem("not_found")


def _command(
    caller: Caller,
    payment_id: str,
    kind: CommandKind,
    key: str,
    **fields: Any,
) -> PaymentCommand:
    merchant, mode = caller.require_merchant()
    command = PaymentCommand(
        command_id=ids.command_id(payment_id, kind.value, key),
        payment_id=payment_id,
        merchant_id=merchant.merchant_id,
        mode=mode,
        kind=kind.value,
        fingerprint="",
        issued_at_ms=now_ms(),
        source=Source.API.value,
        idempotency_key=key,
        **fields,
    )
    return replace(command, fingerprint=command_fingerprint(command))


async def _submit(
    request: ApiRequest,
    payment_commands: PaymentCommands,
    payment_id: str,
    kind: CommandKind,
    **fields: Any,
) -> Response[Any]:
    """Submits a command about an existing payment, and waits if the caller prefers to."""
    _check_id(payment_id)
    key = request.idempotency_key
    command = _command(request.caller, payment_id, kind, key, **fields)
    accepted = AcceptedCommand(
        command_id=command.command_id,
        payment_id=payment_id,
        kind=kind.value,
        refund_id=command.refund_id,
    )
    submitted = await payment_commands.submit(command, request.traceparent)
    seconds = request.wait_seconds
    if submitted.payment_unknown:  # most are made up: the worker's answer is a 404
        seconds = max(seconds, UNKNOWN_PAYMENT_WAIT_SECONDS)
    payment = await payment_commands.outcomes.wait_for_outcome(command, seconds)
    return _response(request, payment_id, submitted, payment or accepted)


def _response(
    request: ApiRequest,
    payment_id: str,
    submitted: Submitted,
    body: Payment | NewPayment | AcceptedCommand,
) -> Response[Any]:
    """200 with the payment when its outcome is known, else 202."""
    headers = {"Location": f"/v1/payments/{payment_id}"}
    if submitted.repeated:
        headers[REPLAYED] = "true"
    if request.wait_seconds > 0:
        headers["Preference-Applied"] = f"wait={request.wait_seconds:g}"
    return Response(body, status_code=200 if isinstance(body, Payment) else 202, headers=headers)
