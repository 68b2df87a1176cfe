"""Which deliveries to attempt now, so that no endpoint delays another."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from sinks.webhooks.delivery import PendingDelivery
from sinks.webhooks.delivery_queue import (
    BreakerPolicy,
    EndpointQueue,
    QueuePosition,
    in_flight_limit,
    is_blocked,
    position_key,
)
from sinks.webhooks.settings import WebhookSettings
from workers.calls_in_flight import CallsInFlight


class CommittedTable(Protocol):
    """The committed entries of the partitions that this worker owns."""

    def get(self, key: str, /) -> Any: ...
    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]: ...


class DueDeliveries:
    """Selects from the tables. Retries get at most half of an endpoint's attempts in flight."""

    def __init__(
        self,
        deliveries: CommittedTable,
        endpoints: CommittedTable,
        calls: CallsInFlight,
        settings: WebhookSettings,
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._calls = calls
        self._settings = settings
        self._breaker: BreakerPolicy = settings.breaker_policy()
        self._rows = settings.due_rows_min

    def choose(self, now_ms: int) -> Iterator[PendingDelivery]:
        """Deliveries that may start now. The caller starts each one before it takes the next."""
        retries = self._deliveries.due(now_ms, self._rows)
        queues = self._endpoints.due(now_ms, self._rows)
        yield from self._due_retries((entry for _, entry in retries), now_ms)
        for _, queue in queues:
            if self._calls.capacity <= 0:
                return
            yield from self._waiting(queue)
        self._adapt(max(len(retries), len(queues)))

    def _due_retries(
        self, retries: Iterable[PendingDelivery], now_ms: int
    ) -> Iterator[PendingDelivery]:
        for entry in retries:
            if self._calls.capacity <= 0:
                return
            endpoint_id = entry.delivery.endpoint_id
            queue = self._endpoints.get(endpoint_id) or EndpointQueue(endpoint_id=endpoint_id)
            share = max(1, self._in_flight_limit(queue) // 2)
            if is_blocked(queue, now_ms) or self._calls.active_in_group(endpoint_id) >= share:
                continue
            if not self._calls.is_active(entry.delivery.delivery_id):
                yield entry

    def _waiting(self, queue: EndpointQueue) -> Iterator[PendingDelivery]:
        """Deliveries of the queue, in order, while the endpoint may have more in flight."""
        end = min(queue.tail, queue.head + self._settings.queue_window_positions)
        for number in range(queue.head, end):
            if self._calls.active_in_group(queue.endpoint_id) >= self._in_flight_limit(queue):
                return
            if self._calls.capacity <= 0:
                return
            entry = self._at_position(queue.endpoint_id, number)
            if entry is not None and not self._calls.is_active(entry.delivery.delivery_id):
                yield entry

    def _at_position(self, endpoint_id: str, number: int) -> PendingDelivery | None:
        position: QueuePosition | None = self._endpoints.get(position_key(endpoint_id, number))
        if position is None:
            return None
        entry: PendingDelivery | None = self._deliveries.get(position.delivery_id)
        return entry

    def _in_flight_limit(self, queue: EndpointQueue) -> int:
        return in_flight_limit(queue, self._breaker, self._settings.endpoint_in_flight_max)

    def _adapt(self, found: int) -> None:
        """Read more rows while the page is full: due work behind it must not wait."""
        if found >= self._rows:
            self._rows = min(2 * self._rows, self._settings.due_rows_max)
        elif found < self._rows // 4:
            self._rows = max(self._rows // 2, self._settings.due_rows_min)
