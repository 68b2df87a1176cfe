"""What the API answers with; amounts are integers in minor units, times epoch milliseconds."""

from msgspec import Struct


class LastCommand(Struct, frozen=True):
    """How the newest command about a payment ended."""

    id: str
    result: str
    reason: str | None = None


class Payment(Struct, frozen=True, kw_only=True):
    """A payment as it is now. Written by the status sink to `payment:{id}`."""

    id: str
    merchant_id: str
    mode: str
    status: str
    amount: int
    currency: str
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    fees: int
    capture_method: str
    sequence: int
    updated_at_ms: int
    created_at_ms: int | None = None
    fingerprint: str | None = None
    """Of the create command; absent while a lost view is being rebuilt, like created_at_ms."""
    reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    last_command: LastCommand | None = None


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


class CommandOutcome(Struct, frozen=True, kw_only=True):
    """How a command ended. Written by the status sink to `command:{id}`."""

    result: str
    reason: str | None = None
    fingerprint: str | None = None


class ApiKeys(Struct, frozen=True):
    """Shown once: only their hashes are stored."""

    test: str
    live: str


class NewEndpoint(Struct, frozen=True):
    """A webhook endpoint; `secret` verifies Standard Webhooks signatures and is shown once."""

    id: str
    url: str
    secret: str


class NewMerchant(Struct, frozen=True):
    """A merchant with all secrets it needs."""

    id: str
    api_keys: ApiKeys
    webhook_endpoint: NewEndpoint | None


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
