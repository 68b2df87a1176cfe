"""The queue of an endpoint, its breaker, and both tables after each record."""

from typing import Any

from schemas.enums import AttemptResult, DeadLetterReason
from schemas.records import WebhookAttempt, WebhookDelivery
from sinks.webhooks.delivery import PendingDelivery, RetryPolicy
from sinks.webhooks.delivery_aggregate import DeliveryAggregate
from sinks.webhooks.delivery_queue import (
    BreakerPolicy,
    EndpointQueue,
    QueuePosition,
    due_ms,
    in_flight_limit,
    is_blocked,
)

DAY_MS = 86_400_000
POLICY = RetryPolicy(jitter=0.0)
BREAKER = BreakerPolicy(failures_to_open=3, probe_seconds=10)


def delivery(number: int, created_at_ms: int = 0) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=f"pay_{number}-1@we_1",
        endpoint_id="we_1",
        merchant_id="mer_1",
        event_id=f"pay_{number}-1",
        payment_id=f"pay_{number}",
        sequence=1,
        event_type="payment.created",
        body=b"{}",
        created_at_ms=created_at_ms,
    )


def attempt(number: int, result: str, at_ms: int = 1_000, count: int = 1) -> WebhookAttempt:
    return WebhookAttempt(
        attempt_id=f"pay_{number}-1@we_1#{count}",
        delivery_id=f"pay_{number}-1@we_1",
        endpoint_id="we_1",
        merchant_id="mer_1",
        event_id=f"pay_{number}-1",
        payment_id=f"pay_{number}",
        attempt=count,
        result=result,
        latency_ms=1,
        attempted_at_ms=at_ms,
    )


class Tables:
    """Both tables as dicts and the fold over them."""

    def __init__(self, deliveries: int) -> None:
        self.deliveries: dict[str, PendingDelivery] = {}
        self.endpoints: dict[str, Any] = {}
        self.fold = DeliveryAggregate(self.deliveries, self.endpoints, POLICY, BREAKER)
        for number in range(deliveries):
            self.fold.add(delivery(number), 0, number)

    @property
    def queue(self) -> EndpointQueue:
        found = self.endpoints["we_1"]
        assert isinstance(found, EndpointQueue)
        return found


def test_deliveries_wait_in_order_behind_one_due_entry() -> None:
    tables = Tables(3)
    assert (tables.queue.head, tables.queue.tail) == (0, 3)
    assert [tables.endpoints[f"we_1#{n}"].delivery_id for n in range(3)] == list(tables.deliveries)
    due = [key for key, value in tables.endpoints.items() if due_ms(value) is not None]
    assert due == ["we_1"]


def test_a_repeated_delivery_changes_nothing() -> None:
    tables = Tables(2)
    before = dict(tables.endpoints)
    tables.fold.add(delivery(1), 0, 9)
    assert tables.endpoints == before


def test_a_hole_is_skipped_when_the_head_leaves() -> None:
    tables = Tables(3)
    tables.fold.apply(attempt(1, AttemptResult.DELIVERED))
    assert tables.queue.head == 0
    tables.fold.apply(attempt(0, AttemptResult.DELIVERED))
    assert tables.queue.head == 2


def test_nothing_is_left_of_a_healthy_endpoint_that_got_everything() -> None:
    tables = Tables(3)
    for number in (2, 0, 1):
        assert tables.fold.apply(attempt(number, AttemptResult.DELIVERED)) == []
    assert tables.deliveries == {}
    assert tables.endpoints == {}


def test_a_failed_delivery_makes_way_for_the_next() -> None:
    tables = Tables(2)
    tables.fold.apply(attempt(0, AttemptResult.FAILED))
    assert tables.queue.head == 1
    assert tables.deliveries["pay_0-1@we_1"].due_at_ms == 6_000
    assert not is_blocked(tables.queue, 1_001)


def test_failures_in_a_row_open_the_breaker_and_a_success_closes_it() -> None:
    tables = Tables(20)
    for number in range(3):
        tables.fold.apply(attempt(number, AttemptResult.FAILED))
    assert in_flight_limit(tables.queue, BREAKER, 8) == 1
    assert due_ms(tables.queue) == 11_000
    tables.fold.apply(attempt(3, AttemptResult.FAILED, at_ms=11_000))
    assert due_ms(tables.queue) == 31_000
    tables.fold.apply(attempt(4, AttemptResult.DELIVERED, at_ms=31_000))
    assert in_flight_limit(tables.queue, BREAKER, 8) == 8
    assert not is_blocked(tables.queue, 31_000)


def test_a_dead_endpoint_keeps_its_queue_and_has_few_entries_that_are_due() -> None:
    tables = Tables(200)
    for number in range(10):
        tables.fold.apply(attempt(number, AttemptResult.FAILED, at_ms=number * 100_000))
    assert tables.queue.tail - tables.queue.head == 190
    due = [v for v in tables.endpoints.values() if due_ms(v) is not None]
    retries = [v for v in tables.deliveries.values() if v.due_at_ms is not None]
    assert (len(due), len(retries)) == (1, 10)


def test_after_thirty_days_the_old_ones_of_the_queue_go_together() -> None:
    tables = Tables(5)
    tables.fold.add(delivery(5, created_at_ms=20 * DAY_MS), 0, 5)
    exhausted = tables.fold.apply(attempt(0, AttemptResult.FAILED, at_ms=30 * DAY_MS))
    assert [g.entry.delivery.payment_id for g in exhausted] == [f"pay_{n}" for n in range(5)]
    assert {g.finished.reason_code for g in exhausted} == {DeadLetterReason.DELIVERY_EXPIRED}
    assert list(tables.deliveries) == ["pay_5-1@we_1"]
    assert (tables.queue.head, tables.queue.tail) == (5, 6)


def test_gone_is_a_dead_letter_and_no_sign_of_a_dead_endpoint() -> None:
    tables = Tables(1)
    [exhausted] = tables.fold.apply(attempt(0, AttemptResult.EXHAUSTED))
    assert exhausted.finished.reason_code == DeadLetterReason.DELIVERY_REFUSED
    assert tables.endpoints == {}


def test_a_late_result_of_a_delivery_that_is_done_changes_no_delivery() -> None:
    tables = Tables(2)
    tables.fold.apply(attempt(0, AttemptResult.DELIVERED))
    assert tables.fold.apply(attempt(0, AttemptResult.FAILED, count=2)) == []
    assert list(tables.deliveries) == ["pay_1-1@we_1"]
    assert isinstance(tables.endpoints["we_1#1"], QueuePosition)
