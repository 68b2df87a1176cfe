"""`delivered_or_pending`: no merchant misses a webhook without somebody knowing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from paystream.verify.dataset import Dataset, Located
from paystream.verify.result import Findings
from schemas import topics
from schemas.codec import UndecodableRecord, decode
from schemas.enums import AttemptResult, EventType, MerchantEventType
from schemas.records import Merchant, MerchantEvent, PaymentEvent, WebhookDelivery

PENDING_CHANGELOG = "sinks-webhooks-deliveries-changelog"
REGISTRY_LAG_MS = 10_000
"""An endpoint may miss the events of its first seconds: the sink follows `merchants` with a lag."""

_ADDS = {MerchantEventType.REGISTERED, MerchantEventType.ENDPOINT_ADDED}


def delivered_or_pending(dataset: Dataset, findings: Findings) -> None:
    """Each event has an intent per endpoint; each intent is delivered, pending or dead-lettered."""
    known_since_ms = _known_since_ms(dataset, findings)
    intents = {
        found.record.delivery_id: found
        for found in dataset.deliveries
        if found.record.created_at_ms >= known_since_ms
    }
    _every_event_has_intents(dataset, intents, known_since_ms, findings)
    _every_intent_has_an_event(dataset, intents, findings)
    # The table first: what leaves it while we read has left its attempt or dead letter before.
    pending = dataset.last_values(PENDING_CHANGELOG)
    delivered = {a.delivery_id for a in dataset.attempts() if a.result == AttemptResult.DELIVERED}
    exhausted = dataset.dead_lettered(topics.WEBHOOKS_DELIVERIES)
    for delivery_id, found in intents.items():
        known = (
            delivery_id in delivered
            or delivery_id in pending
            or (found.partition, found.offset) in exhausted
        )
        findings.expect(known, delivery_id, "neither delivered nor pending nor dead-lettered")
    waiting = len(pending.keys() & intents.keys())
    if waiting:
        findings.note(f"{waiting:,} deliveries wait for their next attempt")


def _known_since_ms(dataset: Dataset, findings: Findings) -> int:
    """From when on intents and attempts are all there: 0, unless retention took older ones."""
    kept = (topics.WEBHOOKS_DELIVERIES, topics.WEBHOOKS_ATTEMPTS)
    if not any(dataset.cut_off(topic) for topic in kept):
        return 0
    first_attempts: dict[str, int] = {}
    for attempt in dataset.attempts():
        first_attempts.setdefault(attempt.endpoint_id, attempt.attempted_at_ms)
    first_intents: dict[str, int] = {}
    for found in dataset.deliveries:
        first_intents.setdefault(found.record.endpoint_id, found.record.created_at_ms)
    since_ms = max([*first_attempts.values(), *first_intents.values()], default=0)
    findings.note("older webhooks are gone by retention: only the time since was checked")
    return since_ms


def _every_event_has_intents(
    dataset: Dataset,
    intents: dict[str, Located[WebhookDelivery]],
    known_since_ms: int,
    findings: Findings,
) -> None:
    endpoints, modes = _lasting_endpoints(dataset.merchant_events), _modes(dataset)
    for event in dataset.all_events():
        if event.occurred_at_ms < known_since_ms:
            continue
        for endpoint_id in _owed(event, endpoints, modes):
            delivery_id = f"{event.event_id}@{endpoint_id}"
            findings.expect(delivery_id in intents, delivery_id, "no webhook was made")


def _modes(dataset: Dataset) -> dict[str, str]:
    """Endpoint -> the one mode whose events go there, of endpoints that have one."""
    modes: dict[str, str] = {}
    for value in dataset.last_values(topics.MERCHANTS).values():
        with suppress(UndecodableRecord):
            endpoints = decode(Merchant, value).endpoints
            modes |= {e.endpoint_id: e.mode for e in endpoints if e.mode is not None}
    return modes


def _owed(
    event: PaymentEvent, endpoints: dict[str, dict[str, int]], modes: dict[str, str]
) -> Iterator[str]:
    """Endpoints that must hear of the event; a refused command is no change (no webhook)."""
    if event.type == EventType.COMMAND_REJECTED:
        return
    for endpoint_id, added_at_ms in endpoints.get(event.merchant_id, {}).items():
        heard = modes.get(endpoint_id, event.mode) == event.mode
        if heard and event.occurred_at_ms > added_at_ms + REGISTRY_LAG_MS:
            yield endpoint_id


def _lasting_endpoints(events: list[MerchantEvent]) -> dict[str, dict[str, int]]:
    """Merchant -> endpoint -> when it was added. One that was removed may have missed events."""
    found: dict[str, dict[str, int]] = {}
    removed: set[str] = set()
    for event in events:
        if event.endpoint_id is None:
            continue
        if event.type in _ADDS:
            found.setdefault(event.merchant_id, {})[event.endpoint_id] = event.occurred_at_ms
        elif event.type == MerchantEventType.ENDPOINT_REMOVED:
            removed.add(event.endpoint_id)
    return {
        merchant: {e: at for e, at in endpoints.items() if e not in removed}
        for merchant, endpoints in found.items()
    }


def _every_intent_has_an_event(
    dataset: Dataset, intents: dict[str, Located[WebhookDelivery]], findings: Findings
) -> None:
    known = {event.event_id for event in dataset.all_events()}
    for delivery_id, found in intents.items():
        if found.record.event_id not in known:
            findings.violation(delivery_id, "is about an event that never happened")
