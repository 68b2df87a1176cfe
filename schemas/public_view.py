"""What merchants may see of a payment: the one JSON shape of reads and webhooks (pure)."""

from collections.abc import Mapping
from typing import Any

from schemas.enums import EventType, RejectionReason
from schemas.records import PaymentEvent

View = dict[str, Any]
"""JSON object of a payment; amounts in minor units, times in epoch milliseconds."""

REJECTED = "rejected"
APPLIED = "applied"

_KEPT_BY_REJECTION = ("decline_code", "action_url", "updated_at_ms")


def payment_view(event: PaymentEvent) -> View:
    """The payment after the event, as far as the event alone says. It is `data` of webhooks."""
    return {
        "id": event.payment_id,
        "merchant_id": event.merchant_id,
        "mode": event.mode,
        "status": event.status,
        "amount": event.requested_minor,
        "currency": event.currency,
        "amount_authorized": event.authorized_minor,
        "amount_captured": event.captured_minor,
        "amount_refunded": event.refunded_minor,
        "fees": event.fees_minor,
        "capture_method": event.capture_method,
        "reference": event.reference,
        "decline_code": event.decline_code,
        "action_url": event.action_url,
        "sequence": event.sequence,
    }


def public_view(event: PaymentEvent, previous: Mapping[str, Any] | None = None) -> View:
    """The payment after the event, as reads answer it.

    `previous` is the view after the event before. From it come what only `payment.created` says
    (`created_at_ms`, `fingerprint`) and what a rejected command leaves as it was; without it these
    are None, until the view is rebuilt.
    """
    view = payment_view(event)
    view["updated_at_ms"] = event.occurred_at_ms
    created = event.type == EventType.CREATED
    before = previous or {}
    view["created_at_ms"] = event.occurred_at_ms if created else before.get("created_at_ms")
    view["fingerprint"] = event.fingerprint if created else before.get("fingerprint")
    view["last_command"] = last_command(event)
    if event.type == EventType.COMMAND_REJECTED and previous:
        view |= {name: before[name] for name in _KEPT_BY_REJECTION if name in before}
        if is_idempotency_mismatch(event):
            view["last_command"] = before.get("last_command")
    return view


def last_command(event: PaymentEvent) -> View:
    """How the command that caused the event ended."""
    rejected = event.type == EventType.COMMAND_REJECTED
    return {
        "id": event.command_id,
        "result": REJECTED if rejected else APPLIED,
        "reason": event.reason if rejected else None,
    }


def is_idempotency_mismatch(event: PaymentEvent) -> bool:
    """Whether the event refuses another body under a used idempotency key.

    It says nothing about the command of that id, which went its own way before.
    """
    return (
        event.type == EventType.COMMAND_REJECTED
        and event.reason == RejectionReason.IDEMPOTENCY_MISMATCH
    )


def is_unknown_payment(event: PaymentEvent) -> bool:
    """Whether the event refuses a command to a payment that does not exist: there is no view."""
    return (
        event.type == EventType.COMMAND_REJECTED and event.reason == RejectionReason.NO_SUCH_PAYMENT
    )
