"""What becomes of a delivery after each attempt."""

import msgspec
import pytest

from schemas.enums import AttemptResult, DeadLetterReason
from schemas.records import WebhookAttempt, WebhookDelivery
from sinks.webhooks.delivery import (
    DELAYS_SECONDS,
    DELIVERED,
    Finished,
    PendingDelivery,
    RetryPolicy,
    after_attempt,
    delay_ms,
)

DAY_MS = 86_400_000
NO_JITTER = RetryPolicy(jitter=0.0)

DELIVERY = WebhookDelivery(
    delivery_id="pay_1-2@we_1",
    endpoint_id="we_1",
    merchant_id="mer_1",
    event_id="pay_1-2",
    payment_id="pay_1",
    sequence=2,
    event_type="payment.authorized",
    body=b"{}",
    created_at_ms=1_000,
)
FRESH = PendingDelivery(delivery=DELIVERY, source_partition=0, source_offset=7, position=3)


def attempt(
    number: int = 1, result: str = "failed", at_ms: int = 2_000, **more: object
) -> WebhookAttempt:
    return WebhookAttempt(
        attempt_id=f"{DELIVERY.delivery_id}#{number}",
        delivery_id=DELIVERY.delivery_id,
        endpoint_id="we_1",
        merchant_id="mer_1",
        event_id="pay_1-2",
        payment_id="pay_1",
        attempt=number,
        result=result,
        latency_ms=1,
        attempted_at_ms=at_ms,
        **more,  # type: ignore[arg-type] # fields of one test case
    )


@pytest.mark.parametrize("known_attempts", [0, 1, 9])
def test_a_success_ends_the_delivery_whichever_attempt_it_was(known_attempts: int) -> None:
    entry = msgspec.structs.replace(FRESH, attempts=known_attempts)
    assert after_attempt(entry, attempt(1, AttemptResult.DELIVERED), NO_JITTER) == DELIVERED


def test_the_schedule_is_the_documented_one_and_then_daily() -> None:
    waits = [delay_ms(NO_JITTER, "d", n) // 1000 for n in range(1, 13)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 86400, 86400, 86400]
    assert DELAYS_SECONDS[-1] == 86400


def test_a_failure_leaves_the_queue_and_gets_a_due_time() -> None:
    entry = after_attempt(FRESH, attempt(1), NO_JITTER)
    assert entry == msgspec.structs.replace(FRESH, attempts=1, position=None, due_at_ms=7_000)


def test_a_failure_that_is_known_changes_nothing() -> None:
    entry = msgspec.structs.replace(FRESH, attempts=2, position=None, due_at_ms=9)
    assert after_attempt(entry, attempt(2), NO_JITTER) is entry


def test_retry_after_is_honoured_up_to_its_bound() -> None:
    asked = after_attempt(FRESH, attempt(1, retry_after_seconds=600), NO_JITTER)
    assert isinstance(asked, PendingDelivery)
    assert asked.due_at_ms == 2_000 + 600_000
    greedy = after_attempt(FRESH, attempt(1, retry_after_seconds=10**9), NO_JITTER)
    assert isinstance(greedy, PendingDelivery)
    assert greedy.due_at_ms == 2_000 + DAY_MS
    shorter_than_the_schedule = after_attempt(FRESH, attempt(1, retry_after_seconds=1), NO_JITTER)
    assert isinstance(shorter_than_the_schedule, PendingDelivery)
    assert shorter_than_the_schedule.due_at_ms == 7_000


def test_given_up_becomes_a_dead_letter_at_once() -> None:
    outcome = after_attempt(FRESH, attempt(1, AttemptResult.EXHAUSTED, http_status=410), NO_JITTER)
    assert outcome == Finished(reason_code=DeadLetterReason.DELIVERY_REFUSED, detail="HTTP 410")


def test_the_last_attempt_is_when_the_thirty_days_end() -> None:
    late = after_attempt(FRESH, attempt(1, at_ms=1_000 + 30 * DAY_MS - 1), NO_JITTER)
    assert isinstance(late, PendingDelivery)
    assert late.due_at_ms == 1_000 + 30 * DAY_MS
    last = after_attempt(late, attempt(2, at_ms=1_000 + 30 * DAY_MS, error="refused"), NO_JITTER)
    assert isinstance(last, Finished)
    assert last.reason_code == DeadLetterReason.DELIVERY_EXPIRED
    assert "refused" in last.detail


def test_jitter_is_bounded_and_the_same_at_each_replay() -> None:
    waits = {delay_ms(RetryPolicy(), f"d{n}", 2) for n in range(50)}
    assert len(waits) > 40
    assert all(300_000 <= wait <= 360_000 for wait in waits)
    assert delay_ms(RetryPolicy(), "d1", 2) == delay_ms(RetryPolicy(), "d1", 2)


def test_factor_shortens_delays_and_the_thirty_days_alike() -> None:
    policy = RetryPolicy(jitter=0.0, factor=0.001)
    assert delay_ms(policy, "d", 2) == 300
    outcome = after_attempt(FRESH, attempt(1, at_ms=1_000 + 30 * 86_400), policy)
    assert isinstance(outcome, Finished)
