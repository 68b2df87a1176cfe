"""Laws of webhook deliveries, over any order of intents and results."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import AttemptResult
from schemas.records import WebhookAttempt, WebhookDelivery
from sinks.webhooks.delivery import PendingDelivery, RetryPolicy
from sinks.webhooks.delivery_aggregate import DeliveryAggregate
from sinks.webhooks.delivery_queue import BreakerPolicy, EndpointQueue, QueuePosition, position_key

HOUR_MS = 3_600_000
ENDPOINTS = ("we_a", "we_b")

intents = st.tuples(st.just("intent"), st.sampled_from(ENDPOINTS), st.integers(0, 8))
results = st.tuples(
    st.just("result"),
    st.sampled_from(ENDPOINTS),
    st.integers(0, 8),
    st.sampled_from(tuple(AttemptResult)),
    st.integers(1, 4),
)
histories = st.lists(st.one_of(intents, results), max_size=60)


class Run:
    """One history applied, one hour per step; `outcome` is how each intent ended so far."""

    def __init__(self, history: list[tuple[Any, ...]]) -> None:
        self.deliveries: dict[str, PendingDelivery] = {}
        self.endpoints: dict[str, EndpointQueue | QueuePosition] = {}
        self.dead: list[str] = []
        self.intended: set[str] = set()
        self.delivered: set[str] = set()
        fold = DeliveryAggregate(self.deliveries, self.endpoints, RetryPolicy(), BreakerPolicy())
        for hour, step in enumerate(history):
            self._apply(fold, hour * HOUR_MS, *step)

    def _apply(
        self, fold: DeliveryAggregate, at_ms: int, kind: str, endpoint: str, *rest: Any
    ) -> None:
        event_id = f"pay_{rest[0]}-1"
        delivery_id = f"{event_id}@{endpoint}"
        if kind == "intent":
            if delivery_id not in self.intended:
                fold.add(_delivery(delivery_id, endpoint, event_id, at_ms), 0, 0)
            self.intended.add(delivery_id)
            return
        _, result, count = rest
        open_before = delivery_id in self.deliveries
        exhausted = fold.apply(_attempt(delivery_id, endpoint, event_id, result, count, at_ms))
        self.dead += [g.entry.delivery.delivery_id for g in exhausted]
        if open_before and result == AttemptResult.DELIVERED:
            self.delivered.add(delivery_id)


def _delivery(delivery_id: str, endpoint: str, event_id: str, at_ms: int) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=delivery_id,
        endpoint_id=endpoint,
        merchant_id="mer_1",
        event_id=event_id,
        payment_id=event_id[:-2],
        sequence=1,
        event_type="payment.created",
        body=b"{}",
        created_at_ms=at_ms,
    )


def _attempt(
    delivery_id: str, endpoint: str, event_id: str, result: str, count: int, at_ms: int
) -> WebhookAttempt:
    return WebhookAttempt(
        attempt_id=f"{delivery_id}#{count}",
        delivery_id=delivery_id,
        endpoint_id=endpoint,
        merchant_id="mer_1",
        event_id=event_id,
        payment_id=event_id[:-2],
        attempt=count,
        result=result,
        latency_ms=1,
        attempted_at_ms=at_ms,
    )


@given(histories)
@settings(max_examples=200, deadline=None)
def test_every_intent_is_delivered_pending_or_a_dead_letter(history: list[tuple[Any, ...]]) -> None:
    run = Run(history)
    pending = set(run.deliveries)
    assert run.intended == run.delivered | pending | set(run.dead)
    assert len(run.intended) == len(run.delivered) + len(pending) + len(run.dead)


@given(histories)
@settings(max_examples=200, deadline=None)
def test_what_is_pending_will_be_found_in_a_slot_or_has_a_due_time(
    history: list[tuple[Any, ...]],
) -> None:
    run = Run(history)
    for delivery_id, entry in run.deliveries.items():
        assert (entry.position is None) != (entry.due_at_ms is None)
        if entry.position is None:
            continue
        endpoint = entry.delivery.endpoint_id
        queue = run.endpoints[endpoint]
        assert isinstance(queue, EndpointQueue)
        assert queue.head <= entry.position < queue.tail
        assert run.endpoints[position_key(endpoint, entry.position)] == QueuePosition(
            delivery_id=delivery_id
        )


@given(histories)
@settings(max_examples=200, deadline=None)
def test_no_slot_and_no_queue_is_left_behind(history: list[tuple[Any, ...]]) -> None:
    run = Run(history)
    positions = [v for v in run.endpoints.values() if isinstance(v, QueuePosition)]
    assert {s.delivery_id for s in positions} == {
        d for d, entry in run.deliveries.items() if entry.position is not None
    }
    for queue in run.endpoints.values():
        if isinstance(queue, EndpointQueue) and queue.head < queue.tail:
            assert position_key(queue.endpoint_id, queue.head) in run.endpoints
