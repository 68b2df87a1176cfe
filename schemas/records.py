# ruff: noqa: E501 - the texts are those of the contracts
"""Records as immutable values. Generated from avro/*.avsc by `python -m schemas.generate`."""

from msgspec import Struct, field


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """What could not be processed, as it was. Key: the source record's key."""

    source_app: str
    topic: str
    partition: int
    offset: int
    key: str | None = None
    reason_code: str
    detail: str
    headers: dict[str, bytes]
    value: bytes
    failed_at_ms: int


class ApiKey(Struct, frozen=True, kw_only=True, gc=False):
    key_id: str
    mode: str
    key_hash: str
    expires_at_ms: int | None = None


class Endpoint(Struct, frozen=True, kw_only=True, gc=False):
    endpoint_id: str
    url: str
    secrets_sealed: list[str]
    enabled: bool


class Merchant(Struct, frozen=True, kw_only=True, gc=False):
    """The merchant as it is now; compacted. Key: merchant_id."""

    merchant_id: str
    version: int
    name: str
    status: str
    registered_at_ms: int
    updated_at_ms: int
    bank_account: str | None = None
    payout_schedule: str
    fee_basis_points: int
    fee_fixed_minor: int
    api_keys: list[ApiKey] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)


class MerchantCommand(Struct, frozen=True, kw_only=True, gc=False):
    """What is asked of one merchant's registration. Key: merchant_id."""

    command_id: str
    merchant_id: str
    kind: str
    fingerprint: str
    issued_at_ms: int
    source: str
    name: str | None = None
    key_id: str | None = None
    key_mode: str | None = None
    key_hash: str | None = None
    key_expires_at_ms: int | None = None
    endpoint_id: str | None = None
    endpoint_url: str | None = None
    secret_sealed: str | None = None
    bank_account: str | None = None
    payout_schedule: str | None = None
    fee_basis_points: int | None = None
    fee_fixed_minor: int | None = None


class MerchantEvent(Struct, frozen=True, kw_only=True, gc=False):
    """What happened to a merchant's registration. Key: merchant_id."""

    event_id: str
    merchant_id: str
    sequence: int
    type: str
    command_id: str
    fingerprint: str
    occurred_at_ms: int
    source: str
    endpoint_id: str | None = None
    key_id: str | None = None
    reason: str | None = None


class NetworkRequest(Struct, frozen=True, kw_only=True, gc=False):
    """Intent for the card network, committed before the call. Key: payment_id. operation_id is the idempotency key of every retry."""

    request_id: str
    payment_id: str
    merchant_id: str
    mode: str
    operation: str
    subject_operation: str | None = None
    operation_id: str
    attempt: int
    amount_minor: int
    currency: str
    requested_at_ms: int
    command_id: str
    card: str | None = None
    network_reference: str | None = None
    return_url: str | None = None
    refund_id: str | None = None


class PaymentCommand(Struct, frozen=True, kw_only=True, gc=False):
    """What is asked of one payment. Key: payment_id. A repeat carries the same command_id and fingerprint."""

    command_id: str
    payment_id: str
    merchant_id: str
    mode: str
    kind: str
    fingerprint: str
    issued_at_ms: int
    source: str
    idempotency_key: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    capture_method: str | None = None
    capture_delay_seconds: int | None = None
    card: str | None = None
    reference: str | None = None
    return_url: str | None = None
    fee_basis_points: int | None = None
    fee_fixed_minor: int | None = None
    final: bool | None = None
    refund_id: str | None = None
    dispute_id: str | None = None
    operation: str | None = None
    operation_id: str | None = None
    attempt: int | None = None
    outcome: str | None = None
    network_reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    reason: str | None = None


class PaymentEvent(Struct, frozen=True, kw_only=True, gc=False):
    """What happened to one payment; the truth of all sinks. Key: payment_id; sequence 1, 2, 3… without a gap. Amounts are totals after the event, except amount_minor and fee_minor."""

    event_id: str
    payment_id: str
    merchant_id: str
    mode: str
    sequence: int
    type: str
    status: str
    command_id: str
    command_kind: str
    fingerprint: str
    occurred_at_ms: int
    source: str
    currency: str
    amount_minor: int
    fee_minor: int
    requested_minor: int
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    fees_minor: int
    capture_method: str
    capture_delay_seconds: int | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    return_url: str | None = None
    fee_basis_points: int
    fee_fixed_minor: int
    operation: str | None = None
    operation_id: str | None = None
    attempt: int | None = None
    network_reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    refund_id: str | None = None
    dispute_id: str | None = None
    reason: str | None = None
    due_at_ms: int | None = None


class PayoutEvent(Struct, frozen=True, kw_only=True, gc=False):
    """What happened to a payout. Key: merchant_id."""

    event_id: str
    payout_id: str
    merchant_id: str
    sequence: int
    type: str
    status: str
    currency: str
    amount_minor: int
    item_count: int
    items: list[str] = field(default_factory=list)
    request_id: str
    occurred_at_ms: int
    bank_account: str | None = None
    bank_reference: str | None = None
    attempt: int | None = None
    reason: str | None = None


class PayoutItem(Struct, frozen=True, kw_only=True, gc=False):
    """One movement that changes what a merchant is owed. Key: merchant_id."""

    item_id: str
    merchant_id: str
    currency: str
    amount_minor: int
    kind: str
    payment_id: str
    occurred_at_ms: int


class PayoutRequest(Struct, frozen=True, kw_only=True, gc=False):
    """What is asked of a merchant's payouts. Key: merchant_id."""

    request_id: str
    merchant_id: str
    kind: str
    issued_at_ms: int
    source: str
    currency: str | None = None
    payout_id: str | None = None
    attempt: int | None = None
    outcome: str | None = None
    bank_reference: str | None = None
    reason: str | None = None


class WebhookAttempt(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt and its result. Key: endpoint_id."""

    attempt_id: str
    delivery_id: str
    endpoint_id: str
    merchant_id: str
    event_id: str
    payment_id: str
    attempt: int
    result: str
    http_status: int | None = None
    error: str | None = None
    latency_ms: int
    attempted_at_ms: int
    retry_after_seconds: int | None = None


class WebhookDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """Intent: one event for one endpoint. Key: endpoint_id."""

    delivery_id: str
    endpoint_id: str
    merchant_id: str
    event_id: str
    payment_id: str
    sequence: int
    event_type: str
    body: bytes
    created_at_ms: int
