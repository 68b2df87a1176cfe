"""Composition root of the webhook sink: events -> deliveries -> attempts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from engine import Batch, BatchStream, EngineApp, TransactionalTable
from runtime.merchant_registry import MerchantRegistry
from runtime.settings import connections, load
from runtime.telemetry import counter
from schemas.codec import decoder, encode
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT, record_headers
from schemas.records import DeadLetter, PaymentEvent, WebhookAttempt, WebhookDelivery
from schemas.topics import (
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_EVENTS,
    WEBHOOKS_ATTEMPTS,
    WEBHOOKS_DELIVERIES,
)
from sinks.webhooks.attempts import GROUP, AttemptRunner
from sinks.webhooks.delivery import PendingDelivery
from sinks.webhooks.delivery_aggregate import DeliveryAggregate, Exhausted
from sinks.webhooks.delivery_queue import EndpointQueue, QueuePosition, due_ms
from sinks.webhooks.fanout import is_public, webhook_deliveries
from sinks.webhooks.merchants import MerchantLookup
from sinks.webhooks.settings import WebhookSettings
from workers.app import new_app
from workers.placement import Placement
from workers.state_codec import StateCodec, state_codec


def build_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `webhooks`. Raises ConfigurationError."""
    settings = load(WebhookSettings, "webhooks", env)
    known = connections(env).need("kafka_bootstrap_servers", "paystream_master_key")
    app = new_app(GROUP, instance_id, env)
    registry = MerchantRegistry(known.kafka, f"{GROUP}-{instance_id}-registry")
    deliveries = app.transactional_table(
        "deliveries",
        **_codec("deliveries", PendingDelivery),
        due_ms=lambda entry: entry.due_at_ms,
    )
    endpoints = app.transactional_table(
        "endpoints",
        **_codec("endpoints", EndpointQueue | QueuePosition),
        due_ms=due_ms,
    )
    lookup = MerchantLookup(registry, settings.merchant_refresh_seconds_max)
    _add_fan_out(app, lookup)
    _add_aggregates(app, deliveries, endpoints, settings)
    runner = AttemptRunner(
        deliveries, endpoints, registry, app.produce, known.paystream_master_key, settings
    )

    @app.task
    async def attempt_deliveries() -> None:
        registry.start()
        try:
            await runner.run(lambda: app.should_stop)
        finally:
            await asyncio.to_thread(registry.stop)

    return app


def _codec(table: str, kind: Any) -> StateCodec:
    decoder_of_kind = msgspec.msgpack.Decoder(kind)
    return state_codec(table, kind, msgspec.msgpack.Encoder().encode, decoder_of_kind.decode)


def _add_fan_out(app: EngineApp, lookup: MerchantLookup) -> None:
    @app.agent(app.batch_topic(PAYMENTS_EVENTS, decode=decoder(PaymentEvent)))
    async def fan_out(stream: BatchStream) -> None:
        async for batch in stream:
            public = [record for record in batch if is_public(record.value)]
            merchants = await lookup.merchants(record.value.merchant_id for record in public)
            for record in public:
                merchant = merchants[record.value.merchant_id]
                if merchant is None:
                    lookup.count_unknown()
                trace = record.headers.get(TRACEPARENT)
                for delivery in webhook_deliveries(record.value, merchant, record.timestamp_ms):
                    batch.emit(*to_message(delivery, GROUP, trace))


def _add_aggregates(
    app: EngineApp,
    deliveries: TransactionalTable,
    endpoints: TransactionalTable,
    settings: WebhookSettings,
) -> None:
    policy, breaker = settings.retry_policy(), settings.breaker_policy()
    placement = Placement.of(app)

    def new_aggregate(batch: Batch) -> DeliveryAggregate:
        return DeliveryAggregate(
            deliveries.partition(batch), endpoints.partition(batch), policy, breaker
        )

    @app.agent(app.batch_topic(WEBHOOKS_DELIVERIES, decode=decoder(WebhookDelivery)))
    async def enqueue_deliveries(stream: BatchStream) -> None:
        async for batch in stream:
            aggregate = new_aggregate(batch)
            for record in placement.records(batch):
                aggregate.add(record.value, record.partition, record.offset)

    @app.agent(app.batch_topic(WEBHOOKS_ATTEMPTS, decode=decoder(WebhookAttempt)))
    async def apply_attempts(stream: BatchStream) -> None:
        async for batch in stream:
            aggregate = new_aggregate(batch)
            for record in placement.records(batch):
                for exhausted in aggregate.apply(record.value):
                    _emit_dead_letter(batch, exhausted, record.value.attempted_at_ms)


def _emit_dead_letter(batch: Batch, exhausted: Exhausted, at_ms: int) -> None:
    entry, finished = exhausted
    delivery, reason = entry.delivery, finished.reason_code or ""
    letter = DeadLetter(
        source_app=GROUP,
        topic=WEBHOOKS_DELIVERIES,
        partition=entry.source_partition,
        offset=entry.source_offset,
        key=delivery.endpoint_id,
        reason_code=reason,
        detail=finished.detail,
        headers={},
        value=encode(delivery),
        failed_at_ms=at_ms,
        source_key=delivery.endpoint_id.encode(),
    )
    counter("paystream_dead_letters_total").labels(reason).inc()
    headers = record_headers(delivery.delivery_id, "webhook.exhausted", at_ms, GROUP)
    batch.emit(PAYMENTS_DEAD_LETTERS, delivery.endpoint_id, encode(letter), headers)
