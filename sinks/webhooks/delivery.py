"""A delivery after each attempt: retry later, delivered, or exhausted (pure).

The delays grow as Standard Webhooks advises, and continue daily for 30 days.
"""

import zlib

import msgspec

from schemas.enums import AttemptResult, DeadLetterReason
from schemas.records import WebhookAttempt, WebhookDelivery

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_JITTER_STEPS = 2**32

DELAYS_SECONDS = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    _DAY,
)
"""Wait after attempt 1, 2, 3…; the last one repeats."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait and when to give up. Tests and demos shorten all times by `factor`."""

    delays_seconds: tuple[float, ...] = DELAYS_SECONDS
    factor: float = 1.0
    jitter: float = 0.2
    """Up to this share is added to each delay, so that a recovered endpoint is not hit at once."""
    give_up_after_seconds: float = 30 * _DAY
    retry_after_seconds_max: float = _DAY
    """A receiver's Retry-After counts up to here."""


class PendingDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is not done. Exactly one of `position` and `due_at_ms` is set.

    position: of a first attempt in the endpoint's queue. due_at_ms: of the next attempt.
    """

    delivery: WebhookDelivery
    source_partition: int
    source_offset: int
    attempts: int = 0
    position: int | None = None
    due_at_ms: int | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery is over; with a reason it becomes a dead letter."""

    reason_code: str | None = None
    detail: str = ""


DELIVERED = Finished()


def delay_ms(policy: RetryPolicy, delivery_id: str, attempt: int) -> int:
    """Wait after the failed attempt 1, 2, 3…; the jitter depends on the delivery alone."""
    base = policy.delays_seconds[min(attempt, len(policy.delays_seconds)) - 1]
    share = zlib.crc32(f"{delivery_id}#{attempt}".encode()) / _JITTER_STEPS
    return int(base * 1000 * policy.factor * (1 + policy.jitter * share))


def expires_at_ms(policy: RetryPolicy, delivery: WebhookDelivery) -> int:
    """A failed attempt after this time is the last one."""
    return delivery.created_at_ms + int(policy.give_up_after_seconds * policy.factor * 1000)


def after_attempt(
    entry: PendingDelivery, attempt: WebhookAttempt, policy: RetryPolicy
) -> PendingDelivery | Finished:
    """The delivery after an attempt.

    A success counts whichever attempt it was; a failure that is already known changes nothing.
    """
    if attempt.result == AttemptResult.DELIVERED:
        return DELIVERED
    if attempt.result == AttemptResult.EXHAUSTED:
        return Finished(reason_code=DeadLetterReason.DELIVERY_REFUSED, detail=_last_error(attempt))
    if attempt.attempt <= entry.attempts:
        return entry
    return _after_failure(entry, attempt, policy)


def _after_failure(
    entry: PendingDelivery, attempt: WebhookAttempt, policy: RetryPolicy
) -> PendingDelivery | Finished:
    expires = expires_at_ms(policy, entry.delivery)
    if attempt.attempted_at_ms >= expires:
        return expired(entry, _last_error(attempt))
    wait_ms = max(
        delay_ms(policy, entry.delivery.delivery_id, attempt.attempt),
        retry_after_ms(attempt, policy),
    )
    due_at_ms = min(attempt.attempted_at_ms + wait_ms, expires)
    return msgspec.structs.replace(
        entry, attempts=attempt.attempt, position=None, due_at_ms=due_at_ms
    )


def retry_after_ms(attempt: WebhookAttempt, policy: RetryPolicy) -> int:
    """The receiver's Retry-After, bounded; 0 without one."""
    requested = min(attempt.retry_after_seconds or 0, policy.retry_after_seconds_max)
    return int(max(requested, 0) * 1000)


def expired(entry: PendingDelivery, last_error: str) -> Finished:
    """The delivery is too old."""
    return Finished(
        reason_code=DeadLetterReason.DELIVERY_EXPIRED,
        detail=f"not delivered in the time allowed; attempts: {entry.attempts}; last: {last_error}",
    )


def _last_error(attempt: WebhookAttempt) -> str:
    return f"HTTP {attempt.http_status}" if attempt.http_status else attempt.error or "no answer"
