"""/v1/payments: commands in, views out."""

import re
from typing import Any

from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from ingest_api.commands.status_store import StatusUnavailable, payment_of
from ingest_api.commands.submission import is_owner, key_name
from ingest_api.http.authentication import Caller
from ingest_api.http.openapi_responses import KeyedOperation, problems
from ingest_api.http.problems import ApiProblem, try_again
from ingest_api.http.request_models import CapturePayment, CreatePayment, EmptyBody, RefundPayment
from ingest_api.http.requests import ApiRequest, identified, merchants_only
from ingest_api.http.response_models import AcceptedCommand, NewPayment, Payment, PendingPayment
from runtime.clock import now_ms
from schemas import ids
from schemas.enums import CommandKind, PaymentStatus, Source
from schemas.records import PaymentCommand

_PAYMENT_ID = re.compile(r"pay_[0-9a-z]{26}")
_ERRORS = (
    "invalid_request",
    "idempotency_key_missing",
    "unauthenticated",
    "forbidden",
    "body_too_large",
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
    guards=[merchants_only],
    status_code=202,
    operation_class=KeyedOperation,
    responses=_OF_CREATE,
    summary="Create a payment",
)
async def create_payment(
    request: ApiRequest, data: JSONBody[CreatePayment]
) -> Response[NewPayment]:
    """202 once Kafka has the command; with `Prefer: wait=N` 200 when the network has answered."""
    merchant, mode = request.caller.acting()
    key = request.idempotency_key
    payment_id = ids.payment_id(merchant.merchant_id, mode, key)
    command = _command(
        request.caller,
        payment_id,
        CommandKind.CREATE,
        key,
        data.meaning(),
        idempotency_key=key,
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
    return await _answer(request, command, accepted)


@get(
    "/v1/payments/{payment_id:str}",
    guards=[identified],
    responses=problems("unauthenticated", "not_found", "rate_limited", "read_unavailable"),
    summary="A payment as it is now",
)
async def get_payment(request: ApiRequest, payment_id: FromPath[str]) -> Payment | PendingPayment:
    """Milliseconds behind the events; status `new` until a worker has handled the command."""
    _check_id(payment_id)
    caller = request.caller
    owner = caller.merchant.merchant_id if caller.merchant else ""
    mode = caller.mode or ""
    try:
        view, accepted = await request.parts.store.documents(
            f"payment:{payment_id}", key_name(owner, mode, payment_id)
        )
        owned = caller.is_operator or is_owner(view, accepted, owner, mode)
        payment = payment_of(view)
    except StatusUnavailable as error:
        raise try_again("read_unavailable") from error
    if not owned or (payment is None and accepted is None):
        raise ApiProblem("not_found")
    return payment or PendingPayment(
        id=payment_id, merchant_id=owner, mode=mode, status=PaymentStatus.NEW.value
    )


@post(
    "/v1/payments/{payment_id:str}/capture",
    guards=[merchants_only],
    status_code=202,
    operation_class=KeyedOperation,
    responses=_OF_COMMAND,
    summary="Capture an authorized payment",
)
async def capture_payment(
    request: ApiRequest, payment_id: FromPath[str], data: JSONBody[CapturePayment | None] = None
) -> Response[AcceptedCommand]:
    """The whole rest without an amount; `final` releases what is left of the authorization."""
    asked = data or CapturePayment()
    return await _take(
        request,
        payment_id,
        CommandKind.CAPTURE,
        asked.meaning(),
        amount_minor=asked.amount,
        final=asked.final,
    )


@post(
    "/v1/payments/{payment_id:str}/void",
    guards=[merchants_only],
    status_code=202,
    operation_class=KeyedOperation,
    responses=_OF_COMMAND,
    summary="Release an authorization",
)
async def void_payment(
    request: ApiRequest, payment_id: FromPath[str], data: JSONBody[EmptyBody | None] = None
) -> Response[AcceptedCommand]:
    """Nothing of it may be captured."""
    return await _take(request, payment_id, CommandKind.VOID, {"kind": CommandKind.VOID.value})


@post(
    "/v1/payments/{payment_id:str}/refunds",
    guards=[merchants_only],
    status_code=202,
    operation_class=KeyedOperation,
    responses=_OF_COMMAND,
    summary="Refund a captured payment",
)
async def refund_payment(
    request: ApiRequest, payment_id: FromPath[str], data: JSONBody[RefundPayment | None] = None
) -> Response[AcceptedCommand]:
    """All that is captured and not refunded, or an amount of it."""
    asked = data or RefundPayment()
    refund_id = ids.derived_id("ref_", payment_id, request.idempotency_key)
    return await _take(
        request,
        payment_id,
        CommandKind.REFUND,
        asked.meaning(),
        amount_minor=asked.amount,
        refund_id=refund_id,
    )


@post(
    "/v1/payments/{payment_id:str}/complete_action",
    guards=[merchants_only],
    status_code=202,
    operation_class=KeyedOperation,
    responses=_OF_COMMAND,
    summary="Go on after 3-D Secure",
)
async def complete_action(
    request: ApiRequest, payment_id: FromPath[str], data: JSONBody[EmptyBody | None] = None
) -> Response[AcceptedCommand]:
    """The customer came back from action_url: the network is asked for the answer."""
    kind = CommandKind.COMPLETE_ACTION
    return await _take(request, payment_id, kind, {"kind": kind.value})


def _check_id(payment_id: str) -> None:
    if not _PAYMENT_ID.fullmatch(payment_id):
        raise ApiProblem("not_found")


def _command(
    caller: Caller,
    payment_id: str,
    kind: CommandKind,
    key: str,
    meaning: dict[str, object],
    **fields: Any,
) -> PaymentCommand:
    merchant, mode = caller.acting()
    return PaymentCommand(
        command_id=ids.command_id(payment_id, kind.value, key),
        payment_id=payment_id,
        merchant_id=merchant.merchant_id,
        mode=mode,
        kind=kind.value,
        fingerprint=ids.fingerprint(meaning),
        issued_at_ms=now_ms(),
        source=Source.API.value,
        **fields,
    )


async def _take(
    request: ApiRequest,
    payment_id: str,
    kind: CommandKind,
    meaning: dict[str, object],
    **fields: Any,
) -> Response[AcceptedCommand]:
    _check_id(payment_id)
    key = request.idempotency_key
    command = _command(request.caller, payment_id, kind, key, meaning, **fields)
    accepted = AcceptedCommand(
        command_id=command.command_id,
        payment_id=payment_id,
        kind=kind.value,
        refund_id=command.refund_id,
    )
    return await _answer(request, command, accepted)


async def _answer(request: ApiRequest, command: PaymentCommand, accepted: Any) -> Response[Any]:
    """Take the command, wait if asked to, and answer: 200 with the payment or 202."""
    seconds = request.wait_seconds
    taken = await request.parts.intake.take(command, request.traceparent)
    payment = await request.parts.waiter.outcome_of(command, seconds)
    headers = {"Location": f"/v1/payments/{command.payment_id}"}
    if taken.repeated:
        headers["Idempotent-Replayed"] = "true"
    if seconds > 0:
        headers["Preference-Applied"] = f"wait={seconds:g}"
    if payment is not None:
        return Response(payment, status_code=200, headers=headers)
    return Response(accepted, status_code=202, headers=headers)
