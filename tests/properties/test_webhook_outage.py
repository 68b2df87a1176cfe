"""An endpoint that is dead for days beside a healthy one, simulated on the pure parts."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import AttemptResult
from schemas.records import WebhookAttempt, WebhookDelivery
from sinks.webhooks.delivery import PendingDelivery, RetryPolicy
from sinks.webhooks.delivery_aggregate import DeliveryAggregate
from sinks.webhooks.delivery_queue import BreakerPolicy, due_ms
from sinks.webhooks.selection import DueDeliveries
from sinks.webhooks.settings import WebhookSettings

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60
STEP_MINUTES = 10


class Committed(dict[str, Any]):
    """A dict with the engine's `due`."""

    def __init__(self, due_of: Callable[[Any], int | None]) -> None:
        super().__init__()
        self._due_of = due_of

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        found = [(due, key) for key, v in self.items() if (due := self._due_of(v)) is not None]
        return [(key, self[key]) for due, key in sorted(found) if due <= now_ms][:limit]


class Calls:
    """What is in flight within one step."""

    def __init__(self) -> None:
        self.capacity = 1000
        self.keys: set[str] = set()
        self.groups: Counter[str] = Counter()

    def is_active(self, key: str) -> bool:
        return key in self.keys

    def active_in_group(self, group: str) -> int:
        return self.groups[group]


class World:
    """Two endpoints; `we_dead` answers 500 until it recovers."""

    def __init__(self, recovers_after_days: int) -> None:
        self.recovers_ms = recovers_after_days * DAY_MINUTES * MINUTE_MS
        self.deliveries = Committed(lambda entry: entry.due_at_ms)
        self.endpoints = Committed(due_ms)
        self.attempts: Counter[str] = Counter()
        self.delivered: dict[str, int] = {}
        self.dead_letters: list[str] = []
        self.fold = DeliveryAggregate(
            self.deliveries, self.endpoints, RetryPolicy(), BreakerPolicy()
        )

    def intend(self, endpoint: str, number: int, now_ms: int) -> str:
        delivery = WebhookDelivery(
            delivery_id=f"pay_{number}-1@{endpoint}",
            endpoint_id=endpoint,
            merchant_id="mer_1",
            event_id=f"pay_{number}-1",
            payment_id=f"pay_{number}",
            sequence=1,
            event_type="payment.created",
            body=b"{}",
            created_at_ms=now_ms,
        )
        self.fold.add(delivery, 0, number)
        return delivery.delivery_id

    def step(self, now_ms: int) -> None:
        calls = Calls()
        chosen: list[PendingDelivery] = []
        due = DueDeliveries(self.deliveries, self.endpoints, calls, WebhookSettings())  # type: ignore[arg-type] # a stand-in for CallsInFlight
        for entry in due.choose(now_ms):
            calls.keys.add(entry.delivery.delivery_id)
            calls.groups[entry.delivery.endpoint_id] += 1
            chosen.append(entry)
        for entry in chosen:
            self._attempt(entry, now_ms)

    def _attempt(self, entry: PendingDelivery, now_ms: int) -> None:
        delivery = entry.delivery
        healthy = delivery.endpoint_id == "we_live" or now_ms >= self.recovers_ms
        self.attempts[delivery.endpoint_id] += 1
        if healthy:
            self.delivered.setdefault(delivery.delivery_id, now_ms)
        attempt = WebhookAttempt(
            attempt_id=f"{delivery.delivery_id}#{entry.attempts + 1}",
            delivery_id=delivery.delivery_id,
            endpoint_id=delivery.endpoint_id,
            merchant_id="mer_1",
            event_id=delivery.event_id,
            payment_id=delivery.payment_id,
            attempt=entry.attempts + 1,
            result=AttemptResult.DELIVERED if healthy else AttemptResult.FAILED,
            latency_ms=1,
            attempted_at_ms=now_ms,
        )
        exhausted = self.fold.apply(attempt)
        self.dead_letters += [g.entry.delivery.delivery_id for g in exhausted]


@given(down_days=st.integers(0, 35), backlog=st.integers(1, 60))
@settings(max_examples=12, deadline=None)
def test_everything_is_delivered_or_given_up_after_thirty_days(
    down_days: int, backlog: int
) -> None:
    world = World(down_days)
    dead = [world.intend("we_dead", number, 0) for number in range(backlog)]
    live = [world.intend("we_live", number, 0) for number in range(20)]
    for step in range(0, 40 * DAY_MINUTES, STEP_MINUTES):
        world.step(step * MINUTE_MS)
        if not world.deliveries:
            break
    assert not world.deliveries
    assert not [v for v in world.endpoints.values() if due_ms(v) is not None]
    assert all(world.delivered[d] <= 2 * STEP_MINUTES * MINUTE_MS for d in live)
    if down_days < 28:
        assert set(dead) <= world.delivered.keys()
        assert world.dead_letters == []
    elif down_days > 31:
        assert sorted(world.dead_letters) == sorted(dead)
    assert world.attempts["we_dead"] <= down_days * 24 + 3 * backlog + 60
