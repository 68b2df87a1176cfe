"""An endpoint's queue and its breaker: why a dead endpoint costs nobody else anything (pure).

Deliveries that were never tried wait in numbered slots behind ONE due entry of the endpoint. After
`failures_to_open` failures in a row only one probe at a time is sent, at growing distances, and the
rest stays in the queue untouched; the first success opens the way again.
"""

import msgspec

from schemas.enums import AttemptResult
from schemas.records import WebhookAttempt
from sinks.webhooks.delivery import RetryPolicy, retry_after_ms

DUE_AT_ONCE_MS = 0


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When an endpoint counts as dead, and how often it is asked then."""

    failures_to_open: int = 5
    probe_seconds: float = 10.0
    """Distance of the first probe; doubles up to the maximum."""
    probe_seconds_max: float = 3600.0


class EndpointQueue(msgspec.Struct, frozen=True, kw_only=True, tag="queue"):
    """Slots head ≤ n < tail hold deliveries (or holes, where one has left)."""

    endpoint_id: str
    head: int = 0
    tail: int = 0
    failures: int = 0
    """In a row."""
    blocked_until_ms: int = DUE_AT_ONCE_MS


class Slot(msgspec.Struct, frozen=True, kw_only=True, tag="slot"):
    """A place in a queue."""

    delivery_id: str


def position_key(endpoint_id: str, slot: int) -> str:
    """Table key of a slot; the queue itself stands under the endpoint id."""
    return f"{endpoint_id}#{slot}"


def due_ms(entry: EndpointQueue | Slot) -> int | None:
    """When the endpoint's queue wants work done; None: it is empty."""
    if isinstance(entry, Slot) or entry.head == entry.tail:
        return None
    return entry.blocked_until_ms


def is_open(queue: EndpointQueue, breaker: BreakerPolicy) -> bool:
    """Whether the endpoint counts as dead: one probe at a time."""
    return queue.failures >= breaker.failures_to_open


def allowance(queue: EndpointQueue, breaker: BreakerPolicy, in_flight_max: int) -> int:
    """How many attempts the endpoint may have in flight."""
    return 1 if is_open(queue, breaker) else in_flight_max


def is_blocked(queue: EndpointQueue, now_ms: int) -> bool:
    """Whether nothing may be sent to the endpoint now."""
    return queue.blocked_until_ms > now_ms


def after_result(
    queue: EndpointQueue, attempt: WebhookAttempt, policy: RetryPolicy, breaker: BreakerPolicy
) -> EndpointQueue:
    """The queue after an attempt at any of the endpoint's deliveries.

    An answer 2xx makes it healthy; a delivery that was given up says nothing about the endpoint.
    """
    if attempt.result == AttemptResult.DELIVERED:
        return msgspec.structs.replace(queue, failures=0, blocked_until_ms=DUE_AT_ONCE_MS)
    if attempt.result == AttemptResult.EXHAUSTED:
        return queue
    failures = queue.failures + 1
    pause_ms = max(
        _probe_ms(failures, policy, breaker),
        min(retry_after_ms(attempt, policy), int(breaker.probe_seconds_max * 1000)),
    )
    until = (
        max(queue.blocked_until_ms, attempt.attempted_at_ms + pause_ms)
        if pause_ms
        else (queue.blocked_until_ms)
    )
    return msgspec.structs.replace(queue, failures=failures, blocked_until_ms=until)


def _probe_ms(failures: int, policy: RetryPolicy, breaker: BreakerPolicy) -> int:
    beyond = failures - breaker.failures_to_open
    if beyond < 0:
        return 0
    doublings = min(beyond, 32)
    seconds = min(breaker.probe_seconds * 2**doublings, breaker.probe_seconds_max)
    return int(seconds * 1000 * policy.factor)
