"""/v1/payouts: close a merchant's open items now."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from ingest_api.commands.publisher import Publisher
from ingest_api.http.openapi_responses import KeyedOperation, problems
from ingest_api.http.problems import ApiProblem, invalid
from ingest_api.http.request_models import ClosePayouts
from ingest_api.http.requests import ApiRequest, requires
from ingest_api.http.response_models import REPLAYED, AcceptedPayoutRequest
from runtime.clock import now_ms
from runtime.merchant_registry import MerchantRegistry
from schemas.audit_outcomes import AuditOutcome
from schemas.enums import Mode, PayoutRequestKind, Scope, Source
from schemas.records import AuditAction, PayoutRequest

_REQUEST_PREFIX = "por_"


@post(
    "/v1/payouts",
    guards=[requires(Scope.PAYOUTS, operators=True)],
    status_code=202,
    operation_class=KeyedOperation,
    responses=problems(
        "invalid_request",
        "idempotency_key_missing",
        "unauthenticated",
        "forbidden",
        "scope_missing",
        "not_found",
        "body_too_large",
        "unsupported_media_type",
        "card_number_in_clear",
        "idempotency_mismatch",
        "rate_limited",
        "overloaded",
        "starting",
    ),
    summary="Pay out now",
)
async def close_payouts(
    request: ApiRequest,
    publisher: NamedDependency[Publisher],
    registry: NamedDependency[MerchantRegistry],
    data: JSONBody[ClosePayouts | None] = None,
) -> Response[AcceptedPayoutRequest]:
    """A repeat closes nothing again."""
    asked = data or ClosePayouts()
    merchant_id, mode = _merchant_id(request, asked, registry), _mode(request, asked)
    currency = asked.currency or None
    keyed, repeated = await request.keyed(merchant_id, mode, "payout", {"currency": currency})
    payout_request = PayoutRequest(
        request_id=keyed.derived_id(_REQUEST_PREFIX),
        merchant_id=merchant_id,
        mode=mode,
        kind=PayoutRequestKind.CLOSE.value,
        issued_at_ms=now_ms(),
        source=(Source.OPERATOR if request.caller.is_operator else Source.API).value,
        currency=currency,
    )
    await publisher.publish(payout_request, request.traceparent)
    if request.caller.is_operator:
        await publisher.publish_act(_act(request, payout_request), request.traceparent)
    accepted = AcceptedPayoutRequest(payout_request.request_id, merchant_id, mode, currency)
    headers = {REPLAYED: "true"} if repeated else {}
    return Response(accepted, status_code=202, headers=headers)


def _merchant_id(request: ApiRequest, asked: ClosePayouts, registry: MerchantRegistry) -> str:
    """Merchants close their own payouts; operators say whose."""
    caller = request.caller
    if caller.merchant is not None:
        own = caller.merchant.merchant_id
        if asked.merchant_id not in (UNSET, own):
            raise ApiProblem("forbidden", "A merchant's key closes that merchant's payouts only.")
        return own
    if asked.merchant_id is UNSET:
        raise invalid(
            "/merchant_id",
            "The merchant is missing. Operators must name the merchant whose payouts to close",
        )
    if registry.get(asked.merchant_id) is None:
        raise ApiProblem("not_found")
    return asked.merchant_id


def _mode(request: ApiRequest, asked: ClosePayouts) -> str:
    """A key's own mode; operators mean live money unless they say test."""
    own = request.caller.mode
    if own is None:
        return asked.mode or Mode.LIVE.value
    if asked.mode not in (UNSET, own):
        raise ApiProblem("forbidden", f"A {own} key closes {own} payouts only.")
    return own


def _act(request: ApiRequest, payout_request: PayoutRequest) -> AuditAction:
    """An operator's decision, for the audit; the same at each repeat."""
    act = request.act
    return AuditAction(
        action_id=payout_request.request_id,
        subject_id=payout_request.merchant_id,
        action="payout.close",
        outcome=AuditOutcome.APPLIED.value,
        actor=act.actor,
        source=payout_request.source,
        occurred_at_ms=payout_request.issued_at_ms,
        merchant_id=payout_request.merchant_id,
        mode=payout_request.mode,
        justification=act.justification,
        changes={} if payout_request.currency is None else {"currency": payout_request.currency},
    )
