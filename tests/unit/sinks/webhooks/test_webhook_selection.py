"""Which deliveries are attempted, and that an endpoint never takes another's turn."""

from typing import Any

from schemas.records import WebhookDelivery
from sinks.webhooks.delivery import PendingDelivery, RetryPolicy
from sinks.webhooks.delivery_aggregate import DeliveryAggregate
from sinks.webhooks.delivery_queue import BreakerPolicy, EndpointQueue, due_ms
from sinks.webhooks.selection import DueDeliveries
from sinks.webhooks.settings import WebhookSettings
from workers.calls_in_flight import CallsInFlight

NOW_MS = 1_000_000


class Committed(dict[str, Any]):
    """A dict with the engine's `due`."""

    def __init__(self, due_of: Any) -> None:
        super().__init__()
        self._due_of = due_of

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        found = [(due, key) for key, v in self.items() if (due := self._due_of(v)) is not None]
        return [(key, self[key]) for due, key in sorted(found) if due <= now_ms][:limit]


async def forever() -> None:
    import asyncio

    await asyncio.Event().wait()


class Scene:
    """Tables, calls and the selection over them; `start` starts what is chosen, for ever."""

    def __init__(self, **settings: Any) -> None:
        chosen = WebhookSettings(**settings)
        self.deliveries = Committed(lambda entry: entry.due_at_ms)
        self.endpoints = Committed(due_ms)
        self.calls = CallsInFlight("test", chosen.in_flight_max)
        self.due = DueDeliveries(self.deliveries, self.endpoints, self.calls, chosen)
        self._fold = DeliveryAggregate(
            self.deliveries, self.endpoints, RetryPolicy(), BreakerPolicy()
        )

    def intend(self, endpoint: str, count: int) -> None:
        for number in range(count):
            self._fold.add(_delivery(f"pay_{number}-1", endpoint), 0, number)

    def retry(self, endpoint: str, count: int) -> None:
        for number in range(count):
            delivery = _delivery(f"old_{number}-1", endpoint)
            self.deliveries[delivery.delivery_id] = PendingDelivery(
                delivery=delivery, source_partition=0, source_offset=0, attempts=1, due_at_ms=number
            )

    def start(self) -> list[str]:
        started = []
        for entry in self.due.choose(NOW_MS):
            key = entry.delivery.delivery_id
            self.calls.start(key, entry.delivery.endpoint_id, forever(), lambda: False)
            started.append(key)
        return started


def _delivery(event_id: str, endpoint: str) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=f"{event_id}@{endpoint}",
        endpoint_id=endpoint,
        merchant_id="mer_1",
        event_id=event_id,
        payment_id=event_id[:-2],
        sequence=1,
        event_type="payment.created",
        body=b"{}",
        created_at_ms=0,
    )


async def test_an_endpoint_gets_its_share_in_order_and_nothing_twice() -> None:
    scene = Scene(endpoint_in_flight_max=3)
    scene.intend("we_a", 10)
    assert scene.start() == [f"pay_{n}-1@we_a" for n in range(3)]
    assert scene.start() == []
    await scene.calls.cancel()


async def test_a_full_endpoint_leaves_room_for_the_others() -> None:
    scene = Scene(endpoint_in_flight_max=3, in_flight_max=5)
    scene.intend("we_a", 1000)
    scene.start()
    scene.intend("we_b", 2)
    assert scene.start() == ["pay_0-1@we_b", "pay_1-1@we_b"]
    await scene.calls.cancel()


async def test_the_worker_has_a_bound_of_its_own() -> None:
    scene = Scene(endpoint_in_flight_max=3, in_flight_max=4)
    scene.intend("we_a", 10)
    scene.intend("we_b", 10)
    assert len(scene.start()) == 4
    await scene.calls.cancel()


async def test_retries_take_half_of_an_endpoint_so_that_new_events_get_through() -> None:
    scene = Scene(endpoint_in_flight_max=4)
    scene.retry("we_a", 100)
    scene.intend("we_a", 100)
    started = scene.start()
    assert [key.partition("_")[0] for key in started] == ["old", "old", "pay", "pay"]
    await scene.calls.cancel()


async def test_a_dead_endpoint_gets_one_probe_and_a_blocked_one_none() -> None:
    scene = Scene()
    scene.intend("we_dead", 50)
    scene.retry("we_dead", 5)
    queue = scene.endpoints["we_dead"]
    scene.endpoints["we_dead"] = EndpointQueue(
        endpoint_id="we_dead", tail=queue.tail, failures=9, blocked_until_ms=NOW_MS + 1
    )
    assert scene.start() == []
    scene.endpoints["we_dead"] = EndpointQueue(
        endpoint_id="we_dead", tail=queue.tail, failures=9, blocked_until_ms=NOW_MS
    )
    assert len(scene.start()) == 1
    await scene.calls.cancel()


async def test_due_entries_behind_a_page_of_busy_ones_are_found() -> None:
    scene = Scene(endpoint_in_flight_max=2, due_rows_min=4)
    scene.retry("we_a", 64)
    scene.deliveries |= {
        "late@we_b": PendingDelivery(
            delivery=_delivery("late-1", "we_b"),
            source_partition=0,
            source_offset=0,
            attempts=1,
            due_at_ms=NOW_MS,
        )
    }
    started = [key for _ in range(8) for key in scene.start()]
    assert "late-1@we_b" in started
    await scene.calls.cancel()
