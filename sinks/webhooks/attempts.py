"""Attempts of due deliveries: sign, send, record the result."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine import TransactionalTable
from runtime.clock import now_ms
from runtime.encryption import DecryptionError, decrypt
from runtime.telemetry import counter, gauge, histogram
from schemas.enums import AttemptResult
from schemas.envelopes import to_message
from schemas.records import Endpoint, Merchant, WebhookAttempt
from sinks.webhooks.delivery import PendingDelivery
from sinks.webhooks.http_sender import DeliveryResponse, WebhookSender
from sinks.webhooks.selection import DueDeliveries
from sinks.webhooks.settings import WebhookSettings
from sinks.webhooks.signing import signed_headers
from workers.calls_in_flight import CallsInFlight
from workers.catalogue import WORKERS
from workers.send import Send

GROUP = WORKERS["webhooks"].group


class Registry(Protocol):
    """The part of `runtime.merchant_registry.MerchantRegistry` that is needed here."""

    @property
    def ready(self) -> bool: ...
    def get(self, merchant_id: str) -> Merchant | None: ...


class AttemptRunner:
    """Runs as long as the worker. After a crash between response and record, it sends again."""

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
        """Run until `should_stop` or cancelled; attempts in flight then end without a record."""
        sender = WebhookSender(self._settings)
        try:
            while not should_stop():
                self._calls.prune()
                if self._registry.ready:
                    self._start_due(sender)
                gauge("paystream_webhook_pending").set(len(self._deliveries))
                await asyncio.sleep(self._settings.poll_seconds)
        finally:
            await self._calls.cancel()
            await sender.close()

    def _start_due(self, sender: WebhookSender) -> None:
        for entry in self._due.choose(now_ms()):
            delivery_id, number = entry.delivery.delivery_id, entry.attempts + 1
            self._calls.start(
                delivery_id,
                entry.delivery.endpoint_id,
                self._attempt(sender, entry),
                partial(self._is_applied, delivery_id, number),
            )

    def _is_applied(self, delivery_id: str, number: int) -> bool:
        """Whether the table has the attempt (or this worker no longer owns the delivery)."""
        entry: PendingDelivery | None = self._deliveries.get(delivery_id)
        return entry is None or entry.attempts >= number

    async def _attempt(self, sender: WebhookSender, entry: PendingDelivery) -> None:
        at_ms = now_ms()
        response = await self._send_webhook(sender, entry, at_ms)
        attempt = _record(entry, response, at_ms)
        counter("paystream_webhook_attempts_total").labels(attempt.result).inc()
        histogram("paystream_webhook_attempt_seconds").observe(attempt.latency_ms / 1000)
        await self._send(*to_message(attempt, GROUP))

    async def _send_webhook(
        self, sender: WebhookSender, entry: PendingDelivery, at_ms: int
    ) -> DeliveryResponse:
        delivery = entry.delivery
        endpoint = self._endpoint(entry)
        if endpoint is None:
            return self._without_endpoint(entry, at_ms)
        try:
            secrets = [
                decrypt(self._master_key, encrypted, endpoint.endpoint_id)
                for encrypted in endpoint.encrypted_secrets
            ]
            headers = signed_headers(delivery.event_id, at_ms // 1000, delivery.body, secrets)
        except (DecryptionError, ValueError) as error:
            return DeliveryResponse(None, f"cannot be signed: {error}")
        return await sender.send(endpoint.url, headers, delivery.body)

    def _endpoint(self, entry: PendingDelivery) -> Endpoint | None:
        merchant = self._registry.get(entry.delivery.merchant_id)
        endpoints = merchant.endpoints if merchant else []
        wanted = entry.delivery.endpoint_id
        return next((e for e in endpoints if e.endpoint_id == wanted and e.enabled), None)

    def _without_endpoint(self, entry: PendingDelivery, at_ms: int) -> DeliveryResponse:
        """The endpoint was removed, or its registration has not arrived: the age decides."""
        age_seconds = (at_ms - entry.delivery.created_at_ms) / 1000
        if age_seconds > self._settings.unknown_endpoint_seconds:
            return DeliveryResponse(None, "endpoint was removed or disabled", exhausted=True)
        return DeliveryResponse(None, "endpoint is not known yet")


def _record(entry: PendingDelivery, response: DeliveryResponse, at_ms: int) -> WebhookAttempt:
    delivery, number = entry.delivery, entry.attempts + 1
    return WebhookAttempt(
        attempt_id=f"{delivery.delivery_id}#{number}",
        delivery_id=delivery.delivery_id,
        endpoint_id=delivery.endpoint_id,
        merchant_id=delivery.merchant_id,
        event_id=delivery.event_id,
        payment_id=delivery.payment_id,
        attempt=number,
        result=AttemptResult(response.result),
        http_status=response.http_status,
        error=response.error,
        latency_ms=response.latency_ms,
        attempted_at_ms=at_ms + response.latency_ms,
        retry_after_seconds=response.retry_after_seconds,
    )
