"""The webhooks of an event, and the bytes that merchants get (pure)."""

from collections.abc import Iterable

import msgspec

from schemas.enums import EventType
from schemas.headers import rfc3339
from schemas.public_view import payment_view
from schemas.records import Merchant, PaymentEvent, WebhookDelivery


def is_public(event: PaymentEvent) -> bool:
    """Whether the event makes a webhook: every change of a payment does.

    A rejected command changes nothing, and its sender already has the outcome.
    """
    return event.type != EventType.COMMAND_REJECTED


def body(event: PaymentEvent) -> bytes:
    """JSON of the event; the same bytes at each replay, which are signed and sent unchanged.

    `type`, `timestamp` and `data` as Standard Webhooks advises; `sequence` gives the order.
    """
    message = {
        "type": event.type,
        "timestamp": rfc3339(event.occurred_at_ms),
        "id": event.event_id,
        "sequence": event.sequence,
        "amount": event.amount_minor,
        "fee": event.fee_minor,
        "currency": event.currency,
        "refund_id": event.refund_id,
        "dispute_id": event.dispute_id,
        "reason": event.reason,
        "data": payment_view(event),
    }
    return msgspec.json.encode(message)


def webhook_deliveries(
    event: PaymentEvent, merchant: Merchant | None, created_at_ms: int
) -> Iterable[WebhookDelivery]:
    """One intent for each enabled endpoint that gets events of the payment's mode."""
    known = merchant.endpoints if merchant else []
    endpoints = [e for e in known if e.enabled and e.mode in (None, event.mode)]
    text = body(event) if endpoints else b""
    for endpoint in endpoints:
        yield WebhookDelivery(
            delivery_id=f"{event.event_id}@{endpoint.endpoint_id}",
            endpoint_id=endpoint.endpoint_id,
            merchant_id=event.merchant_id,
            event_id=event.event_id,
            payment_id=event.payment_id,
            sequence=event.sequence,
            event_type=event.type,
            body=text,
            created_at_ms=created_at_ms,
        )
