"""The two tables of this sink after each delivery and attempt (pure over mappings)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from engine import TableView
from schemas.enums import DeadLetterReason
from schemas.records import WebhookAttempt, WebhookDelivery
from sinks.webhooks.delivery import (
    Finished,
    PendingDelivery,
    RetryPolicy,
    after_attempt,
    expired,
    expires_at_ms,
)
from sinks.webhooks.delivery_queue import (
    BreakerPolicy,
    EndpointQueue,
    QueuePosition,
    after_result,
    position_key,
)

EXPIRED_DELIVERIES_MAX = 500
"""How many expired deliveries one attempt removes from a queue."""


class Exhausted(NamedTuple):
    """A delivery that becomes a dead letter, and why."""

    entry: PendingDelivery
    finished: Finished


class DeliveryAggregate:
    """`deliveries`: delivery id -> PendingDelivery. `endpoints`: endpoint id -> EndpointQueue, and
    `position_key` -> QueuePosition. Both are the partition that holds the endpoint.
    """

    def __init__(
        self,
        deliveries: TableView[Any],
        endpoints: TableView[Any],
        policy: RetryPolicy,
        breaker: BreakerPolicy,
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._policy = policy
        self._breaker = breaker

    def add(self, delivery: WebhookDelivery, partition: int, offset: int) -> None:
        """A new intent goes to the end of its endpoint's queue; a repeat changes nothing."""
        if self._deliveries.get(delivery.delivery_id) is not None:
            return
        queue = self._queue(delivery.endpoint_id)
        self._endpoints[position_key(queue.endpoint_id, queue.tail)] = QueuePosition(
            delivery_id=delivery.delivery_id
        )
        self._deliveries[delivery.delivery_id] = PendingDelivery(
            delivery=delivery, source_partition=partition, source_offset=offset, position=queue.tail
        )
        self._endpoints[queue.endpoint_id] = msgspec.structs.replace(queue, tail=queue.tail + 1)

    def apply(self, attempt: WebhookAttempt) -> list[Exhausted]:
        """Apply the result of an attempt; returns what becomes dead letters."""
        queue = after_result(self._queue(attempt.endpoint_id), attempt, self._policy, self._breaker)
        exhausted = list(self._apply_result(attempt))
        queue = self._advance(queue)
        if any(
            each.finished.reason_code == DeadLetterReason.DELIVERY_EXPIRED for each in exhausted
        ):
            queue = self._remove_expired(queue, attempt.attempted_at_ms, exhausted)
        self._store(queue)
        return exhausted

    def _queue(self, endpoint_id: str) -> EndpointQueue:
        found: EndpointQueue | None = self._endpoints.get(endpoint_id)
        return found or EndpointQueue(endpoint_id=endpoint_id)

    def _apply_result(self, attempt: WebhookAttempt) -> Iterator[Exhausted]:
        entry: PendingDelivery | None = self._deliveries.get(attempt.delivery_id)
        if entry is None:
            return
        outcome = after_attempt(entry, attempt, self._policy)
        if isinstance(outcome, PendingDelivery):
            if outcome is not entry:
                self._deliveries[attempt.delivery_id] = outcome
                self._dequeue(entry)
            return
        self._remove(entry)
        if outcome.reason_code is not None:
            yield Exhausted(entry, outcome)

    def _remove(self, entry: PendingDelivery) -> None:
        del self._deliveries[entry.delivery.delivery_id]
        self._dequeue(entry)

    def _dequeue(self, entry: PendingDelivery) -> None:
        if entry.position is not None:
            del self._endpoints[position_key(entry.delivery.endpoint_id, entry.position)]

    def _advance(self, queue: EndpointQueue) -> EndpointQueue:
        head = queue.head
        while (
            head < queue.tail and self._endpoints.get(position_key(queue.endpoint_id, head)) is None
        ):
            head += 1
        return msgspec.structs.replace(queue, head=head)

    def _remove_expired(
        self, queue: EndpointQueue, now_ms: int, exhausted: list[Exhausted]
    ) -> EndpointQueue:
        """After one delivery expired, the expired ones at the head of the queue go too."""
        for _ in range(EXPIRED_DELIVERIES_MAX):
            entry = self._head_entry(queue)
            if entry is None or expires_at_ms(self._policy, entry.delivery) > now_ms:
                break
            self._remove(entry)
            exhausted.append(Exhausted(entry, expired(entry, "endpoint is down")))
            queue = self._advance(queue)
        return queue

    def _head_entry(self, queue: EndpointQueue) -> PendingDelivery | None:
        position: QueuePosition | None = self._endpoints.get(
            position_key(queue.endpoint_id, queue.head)
        )
        if position is None:
            return None
        entry: PendingDelivery | None = self._deliveries.get(position.delivery_id)
        return entry

    def _store(self, queue: EndpointQueue) -> None:
        """An idle, healthy endpoint needs no entry."""
        fresh = EndpointQueue(endpoint_id=queue.endpoint_id)
        idle = queue.head == queue.tail
        if not idle or msgspec.structs.replace(queue, head=0, tail=0) != fresh:
            self._endpoints[queue.endpoint_id] = queue
        elif self._endpoints.get(queue.endpoint_id) is not None:
            del self._endpoints[queue.endpoint_id]
