"""Attempts at deliveries that are due: sign, send, write down how it went."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

from engine import TransactionalTable
from runtime.clock import now_ms
from runtime.encryption import DecryptionError, decrypt
from runtime.telemetry import counter, gauge, histogram
from schemas.codec import encode
from schemas.enums import AttemptResult
from schemas.headers import record_headers
from schemas.records import Endpoint, Merchant, WebhookAttempt
from schemas.topics import WEBHOOKS_ATTEMPTS
from sinks.webhooks.delivery import PendingDelivery
from sinks.webhooks.http_sender import Answer, WebhookSender
from sinks.webhooks.selection import DueDeliveries
from sinks.webhooks.settings import WebhookSettings
from sinks.webhooks.signing import signed_headers
from workers.calls_in_flight import CallsInFlight
from workers.catalogue import WORKERS

GROUP = WORKERS["webhooks"].group
Send = Callable[[str, str, bytes, Mapping[str, bytes]], Awaitable[None]]
"""(topic, key, value, headers) -> acknowledged by the broker."""


class Registry(Protocol):
    """What is read of `runtime.merchant_registry.MerchantRegistry`."""

    @property
    def ready(self) -> bool: ...
    def get(self, merchant_id: str) -> Merchant | None: ...


class AttemptRunner:
    """Runs for the life of the worker. A crash between an answer and its record sends again."""

    def __init__(
        self,
        deliveries: TransactionalTable,
        endpoints: TransactionalTable,
        registry: Registry,
        send: Send,
        master_key: str,
        settings: WebhookSettings,
    ) -> None:
        self._deliveries = deliveries
        self._registry = registry
        self._send = send
        self._master_key = master_key
        self._settings = settings
        self._calls = CallsInFlight("sinks.webhooks", settings.in_flight_max)
        self._due = DueDeliveries(deliveries, endpoints, self._calls, settings)

    async def run(self, should_stop: Callable[[], bool]) -> None:
        """Until `should_stop`, or cancelled; attempts in flight are then given up unrecorded."""
        poster = WebhookSender(self._settings)
        try:
            while not should_stop():
                self._calls.prune()
                if self._registry.ready:
                    self._start_due(poster)
                gauge("paystream_webhook_pending").set(len(self._deliveries))
                await asyncio.sleep(self._settings.poll_seconds)
        finally:
            await self._calls.cancel()
            await poster.close()

    def _start_due(self, poster: WebhookSender) -> None:
        for entry in self._due.choose(now_ms()):
            delivery_id, number = entry.delivery.delivery_id, entry.attempts + 1
            self._calls.start(
                delivery_id,
                entry.delivery.endpoint_id,
                self._attempt(poster, entry),
                partial(self._is_settled, delivery_id, number),
            )

    def _is_settled(self, delivery_id: str, number: int) -> bool:
        """Whether the table knows of the attempt (or this worker no longer owns the delivery)."""
        entry: PendingDelivery | None = self._deliveries.get(delivery_id)
        return entry is None or entry.attempts >= number

    async def _attempt(self, poster: WebhookSender, entry: PendingDelivery) -> None:
        at_ms = now_ms()
        answer = await self._answer(poster, entry, at_ms)
        attempt = _record(entry, answer, at_ms)
        counter("paystream_webhook_attempts_total").labels(attempt.result).inc()
        histogram("paystream_webhook_attempt_seconds").observe(attempt.latency_ms / 1000)
        headers = record_headers(attempt.attempt_id, "webhook.attempted", at_ms, GROUP)
        await self._send(WEBHOOKS_ATTEMPTS, attempt.endpoint_id, encode(attempt), headers)

    async def _answer(self, poster: WebhookSender, entry: PendingDelivery, at_ms: int) -> Answer:
        delivery = entry.delivery
        endpoint = self._endpoint(entry)
        if endpoint is None:
            return self._without_endpoint(entry, at_ms)
        try:
            secrets = [
                decrypt(self._master_key, sealed, endpoint.endpoint_id)
                for sealed in endpoint.encrypted_secrets
            ]
            headers = signed_headers(delivery.event_id, at_ms // 1000, delivery.body, secrets)
        except (DecryptionError, ValueError) as error:
            return Answer(None, f"cannot be signed: {error}")
        return await poster.post(endpoint.url, headers, delivery.body)

    def _endpoint(self, entry: PendingDelivery) -> Endpoint | None:
        merchant = self._registry.get(entry.delivery.merchant_id)
        endpoints = merchant.endpoints if merchant else []
        wanted = entry.delivery.endpoint_id
        return next((e for e in endpoints if e.endpoint_id == wanted and e.enabled), None)

    def _without_endpoint(self, entry: PendingDelivery, at_ms: int) -> Answer:
        """Removed, or its registration is not here yet: only time can tell."""
        age_seconds = (at_ms - entry.delivery.created_at_ms) / 1000
        if age_seconds > self._settings.unknown_endpoint_seconds:
            return Answer(None, "endpoint was removed or disabled", exhausted=True)
        return Answer(None, "endpoint is not known yet")


def _record(entry: PendingDelivery, answer: Answer, at_ms: int) -> WebhookAttempt:
    delivery, number = entry.delivery, entry.attempts + 1
    return WebhookAttempt(
        attempt_id=f"{delivery.delivery_id}#{number}",
        delivery_id=delivery.delivery_id,
        endpoint_id=delivery.endpoint_id,
        merchant_id=delivery.merchant_id,
        event_id=delivery.event_id,
        payment_id=delivery.payment_id,
        attempt=number,
        result=AttemptResult(answer.result),
        http_status=answer.http_status,
        error=answer.error,
        latency_ms=answer.latency_ms,
        attempted_at_ms=at_ms + answer.latency_ms,
        retry_after_seconds=answer.retry_after_seconds,
    )
