"""Composition root of the payout sink: events -> items -> payouts -> bank."""

import asyncio
from collections.abc import Iterable, Mapping

from engine import Batch, BatchStream, EngineApp, Retry, TransactionalTable
from runtime.merchant_registry import MerchantRegistry
from runtime.settings import connections, load
from runtime.telemetry import counter
from schemas.codec import decoder
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.records import PaymentEvent, PayoutEvent, PayoutItem, PayoutRequest
from schemas.topics import PAYMENTS_EVENTS, PAYOUTS_ITEMS, PAYOUTS_REQUESTS
from sinks.payouts import state
from sinks.payouts.aggregate import PayoutAggregate
from sinks.payouts.bank import Bank
from sinks.payouts.rules import Account, item_of
from sinks.payouts.scheduler import GROUP, PayoutScheduler
from sinks.payouts.settings import PayoutSettings
from sinks.payouts.table import PAYOUTS_TABLE
from workers.app import new_app
from workers.placement import Placement

REGISTRY_RETRY_SECONDS = 0.2


def build_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `payouts`. Raises ConfigurationError."""
    settings = load(PayoutSettings, "payouts", env)
    known = connections(env).need("kafka_bootstrap_servers", "bank_url")
    app = new_app(GROUP, instance_id, env)
    registry = MerchantRegistry(known.kafka, f"{GROUP}-{instance_id}-registry")
    payouts = app.transactional_table(
        "payouts",
        **PAYOUTS_TABLE,
        due_ms=state.due_ms,
        expires_ms=state.expires_ms,
    )
    _add_items(app)
    _add_aggregates(app, payouts, registry, settings)
    scheduler = PayoutScheduler(payouts, app.produce, settings)

    @app.task
    async def run_scheduler() -> None:
        registry.start()
        bank = Bank(known.bank_url, settings.bank_timeout_seconds, settings.bank_in_flight_max)
        try:
            await scheduler.run(bank, lambda: app.should_stop)
        finally:
            await asyncio.to_thread(registry.stop)

    return app


def _add_items(app: EngineApp) -> None:
    @app.agent(app.batch_topic(PAYMENTS_EVENTS, decode=decoder(PaymentEvent)))
    async def make_items(stream: BatchStream) -> None:
        async for batch in stream:
            for record in batch:
                item = item_of(record.value)
                if item is not None:
                    batch.emit(*to_message(item, GROUP, record.headers.get(TRACEPARENT)))


def _add_aggregates(
    app: EngineApp,
    payouts: TransactionalTable,
    registry: MerchantRegistry,
    settings: PayoutSettings,
) -> None:
    policy, placement = settings.policy(), Placement.of(app)

    def account_of(merchant_id: str) -> Account | None:
        merchant = registry.get(merchant_id)
        if merchant is None:
            return None
        return Account(bank_account=merchant.bank_account, schedule=merchant.payout_schedule)

    def new_aggregate(batch: Batch) -> PayoutAggregate:
        if not registry.ready:
            raise Retry(REGISTRY_RETRY_SECONDS, "The merchants are still being read.")
        return PayoutAggregate(payouts.partition(batch), policy, account_of)

    @app.agent(app.batch_topic(PAYOUTS_ITEMS, decode=decoder(PayoutItem)))
    async def add_items(stream: BatchStream) -> None:
        async for batch in stream:
            aggregate = new_aggregate(batch)
            for record in placement.records(batch):
                events = aggregate.add(record.value, record.timestamp_ms)
                _emit_events(batch, events, record.headers.get(TRACEPARENT))

    @app.agent(app.batch_topic(PAYOUTS_REQUESTS, decode=decoder(PayoutRequest)))
    async def apply_requests(stream: BatchStream) -> None:
        async for batch in stream:
            aggregate = new_aggregate(batch)
            for record in placement.records(batch):
                _emit_events(batch, aggregate.apply(record.value), record.headers.get(TRACEPARENT))


def _emit_events(batch: Batch, events: Iterable[PayoutEvent], trace: bytes | None) -> None:
    for event in events:
        counter("paystream_payouts_total").labels(event.type).inc()
        batch.emit(*to_message(event, GROUP, trace))
