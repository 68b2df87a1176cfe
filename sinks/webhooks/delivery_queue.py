"""An endpoint's queue and its circuit breaker, so that a dead endpoint delays no other (pure).

Deliveries without an attempt wait at numbered positions behind ONE due entry of the endpoint. After
`failures_to_open` failures in a row only one probe at a time is sent, at growing intervals, and the
rest stays in the queue; the first success closes the breaker.
"""

import msgspec

from schemas.enums import AttemptResult
from schemas.records import WebhookAttempt
from sinks.webhooks.delivery import RetryPolicy, retry_after_ms

DUE_AT_ONCE_MS = 0


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When an endpoint counts as dead, and how often it is probed then."""

    failures_to_open: int = 5
    probe_seconds: float = 10.0
    """Pause before the first probe; doubles up to the maximum."""
    probe_seconds_max: float = 3600.0


class EndpointQueue(msgspec.Struct, frozen=True, kw_only=True, tag="queue"):
    """Positions head ≤ n < tail hold deliveries (or nothing, where one has left)."""

    endpoint_id: str
    head: int = 0
    tail: int = 0
    failures: int = 0
    """In a row."""
    blocked_until_ms: int = DUE_AT_ONCE_MS


class QueuePosition(msgspec.Struct, frozen=True, kw_only=True, tag="position"):
    """The delivery at one position of a queue."""

    delivery_id: str


def position_key(endpoint_id: str, position: int) -> str:
    """Table key of a position; the key of the queue itself is the endpoint id."""
    return f"{endpoint_id}#{position}"


def due_ms(entry: EndpointQueue | QueuePosition) -> int | None:
    """When the endpoint's queue is due; None: it is empty."""
    if isinstance(entry, QueuePosition) or entry.head == entry.tail:
        return None
    return entry.blocked_until_ms


def is_open(queue: EndpointQueue, breaker: BreakerPolicy) -> bool:
    """Whether the endpoint counts as dead: one probe at a time."""
    return queue.failures >= breaker.failures_to_open


def in_flight_limit(queue: EndpointQueue, breaker: BreakerPolicy, in_flight_max: int) -> int:
    """How many attempts the endpoint may have in flight."""
    return 1 if is_open(queue, breaker) else in_flight_max


def is_blocked(queue: EndpointQueue, now_ms: int) -> bool:
    """Whether nothing may be sent to the endpoint now."""
    return queue.blocked_until_ms > now_ms


def after_result(
    queue: EndpointQueue, attempt: WebhookAttempt, policy: RetryPolicy, breaker: BreakerPolicy
) -> EndpointQueue:
    """The queue after an attempt at any of the endpoint's deliveries.

    A 2xx response makes it healthy; an exhausted delivery says nothing about the endpoint.
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
