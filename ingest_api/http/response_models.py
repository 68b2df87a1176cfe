"""Bodies of responses; amounts are integers in minor units, times epoch milliseconds."""

from typing import TypeVar

from litestar import Response
from msgspec import Struct

REPLAYED = "Idempotent-Replayed"
"""Header of the answer to a repeat."""
_NOT_YET_SECONDS = "2"
T = TypeVar("T")


class NewPayment(Struct, frozen=True, kw_only=True):
    """A payment whose command Kafka has and no worker has handled yet; `status` is always `new`.

    It depends on the request alone: a repeat of the request is answered with the same bytes.
    """

    id: str
    merchant_id: str
    mode: str
    status: str
    amount: int
    currency: str
    capture_method: str
    reference: str | None
    command_id: str


class PendingPayment(Struct, frozen=True, kw_only=True):
    """A payment that was accepted and that no worker has handled yet."""

    id: str
    merchant_id: str
    mode: str
    status: str


class AcceptedCommand(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that Kafka has; depends on the request alone."""

    command_id: str
    payment_id: str
    kind: str
    refund_id: str | None = None


class AcceptedPayoutRequest(Struct, frozen=True):
    """A request to close payouts that Kafka has."""

    request_id: str
    merchant_id: str
    mode: str
    currency: str | None


class EndpointView(Struct, frozen=True):
    """A webhook endpoint as it is known, without its secret."""

    id: str
    url: str
    enabled: bool
    mode: str | None
    """Whose events go there; null: both modes'."""


def made_response(body: T, *, known: bool, repeated: bool) -> Response[T]:
    """201 for what was made; 202 if it counts in a few seconds; 200 for a repeat."""
    headers = {} if known else {"Retry-After": _NOT_YET_SECONDS}
    if repeated:
        headers[REPLAYED] = "true"
    status = 202 if not known else 200 if repeated else 201
    return Response(body, status_code=status, headers=headers)
