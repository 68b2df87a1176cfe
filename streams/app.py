"""Composition roots: settings and agents become the three workers of this room."""

import asyncio
from collections.abc import Iterator, Mapping

from engine import BatchStream, EngineApp, ProducerRecord, Record, TransactionalTable
from runtime import log
from runtime.compacted_topic import CompactedTopic
from runtime.settings import Connections, connections, load
from runtime.store_connections import ClickHouseConnection
from schemas.codec import decoder
from schemas.enums import Network
from schemas.records import HistoryRequest, MerchantCommand, NetworkRequest, PaymentCommand
from schemas.topics import (
    CLIENT_COMMAND_TOPICS,
    HISTORY_REQUESTS,
    MERCHANTS,
    MERCHANTS_COMMANDS,
    NETWORK_REQUESTS,
    PAYMENT_COMMAND_TOPICS,
)
from streams.agents import merchants, network, payments
from streams.agents.admission import Admission, client_command_decoder, named_merchants
from streams.agents.archiving import ArchiveScheduler
from streams.agents.deadlines import deadline_commands
from streams.agents.event_store import ClickHouseEvents
from streams.agents.history import HistoryCallHandler
from streams.agents.merchant_terms import Merchants, TermsTable
from streams.agents.network_client import NetworkClient
from streams.domain import next_due_at_ms
from streams.domain.admission import AdmissionPolicy
from streams.domain.merchants import MerchantState
from streams.settings import (
    ArchiveSettings,
    DeadlineSettings,
    HistorySettings,
    NetworkSettings,
    merchant_policy,
    policy,
)
from streams.state_codec import ARCHIVED_TABLE, PAYMENTS_TABLE
from workers.app import new_app
from workers.due_commands import run_regularly
from workers.placement import Placement
from workers.state_codec import state_codec


def build_payments_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `payments`: commands to events, and deadlines. Raises ConfigurationError."""
    settings = load(DeadlineSettings, "deadlines", env)
    app = new_app(payments.GROUP, instance_id, env)
    table = app.transactional_table(
        "payments",
        **PAYMENTS_TABLE,
        due_ms=next_due_at_ms,
    )
    archive = app.transactional_table(
        "archived",
        **ARCHIVED_TABLE,
    )
    accepted = load(AdmissionPolicy, "admission", env)
    merchants_known = _follow_merchants(app, env, accepted)
    admission = Admission(merchants_known.get, accepted, int(app.conf.topic_partitions))
    agent = payments.PaymentsAgent(policy(env), admission)

    def handle_topic(name: str) -> None:
        """One agent per topic; all of them write the same tables."""
        is_client = name in CLIENT_COMMAND_TOPICS
        decode = client_command_decoder(name) if is_client else decoder(PaymentCommand)

        @app.agent(app.batch_topic(name, decode=decode), name=name)
        async def handle_commands(stream: BatchStream) -> None:
            async for batch in stream:
                if is_client:
                    await merchants_known.prepare(named_merchants(batch))
                agent.handle(batch, table.partition(batch), archive.partition(batch))

    for name in PAYMENT_COMMAND_TOPICS:
        handle_topic(name)
    deadlines = deadline_commands(table, app.produce, settings)
    run_regularly(app, settings.interval_seconds, deadlines.run_due, "streams.deadlines")
    _add_archiving(app, table, env)
    return app


def _follow_merchants(
    app: EngineApp, env: Mapping[str, str], accepted: AdmissionPolicy
) -> Merchants:
    """Terms of all merchants; the follower's thread starts and stops with the app."""
    table = TermsTable()
    topic = CompactedTopic(
        connections(env).kafka,
        MERCHANTS,
        f"{payments.GROUP}-merchants",
        table.apply,
    )

    @app.task
    async def follow_merchants() -> None:
        topic.start()

    @app.on_before_shutdown.connect
    async def stop(*_: object, **__: object) -> None:
        await asyncio.to_thread(topic.stop)

    return Merchants(table, topic, accepted)


def _add_archiving(app: EngineApp, table: TransactionalTable, env: Mapping[str, str]) -> None:
    settings = load(ArchiveSettings, "archive", env)
    scheduler = ArchiveScheduler(table, app.produce, policy(env), settings)
    run_regularly(app, settings.interval_seconds, scheduler.run_due, "streams.archiving")


def build_network_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `network`: intents to calls to results. Raises ConfigurationError."""
    settings = load(NetworkSettings, "network", env)
    known = connections(env).need("network_url")
    app = new_app(network.GROUP, instance_id, env)
    clients: dict[str, NetworkClient] = {}
    handlers: list[network.NetworkCallHandler] = []

    def is_new(record: Record) -> bool:
        since_ms = consumer.owned_since_ms(record)
        margin_ms = int(settings.fallback_ownership_margin_seconds * 1000)
        return since_ms is not None and record.timestamp_ms > since_ms + margin_ms

    async def call(record: Record) -> list[ProducerRecord]:
        """The clients are made at the first call: they belong to the running event loop."""
        if not handlers:
            clients.update(_network_clients(known, settings))
            handlers.append(network.NetworkCallHandler(clients, settings, is_new))
        return await handlers[0].call(record)

    consumer = app.parallel_consumer(
        NETWORK_REQUESTS,
        decode=decoder(NetworkRequest),
        call=call,
        in_flight_max=settings.in_flight_max,
        call_seconds_max=settings.call_seconds_max,
    )

    @app.on_before_shutdown.connect
    async def close_clients(*_: object, **__: object) -> None:
        await asyncio.gather(*(client.close() for client in clients.values()))

    _add_history(app, known.clickhouse, env)
    return app


def _network_clients(
    known: Connections, settings: NetworkSettings
) -> Iterator[tuple[str, NetworkClient]]:
    urls = {Network.PRIMARY: known.network_url, Network.FALLBACK: known.network_fallback_url}
    for name, url in urls.items():
        if url:
            yield name, NetworkClient(url, settings.timeout_seconds, settings.in_flight_max)


def _add_history(app: EngineApp, clickhouse: ClickHouseConnection, env: Mapping[str, str]) -> None:
    """Calls that fetch archived payments; without ClickHouse these stay archived."""
    settings = load(HistorySettings, "history", env)
    if not clickhouse.url:
        log.get("streams.history").warning("history_calls_disabled", advice="Set CLICKHOUSE_URL.")
        return
    store = ClickHouseEvents(clickhouse, settings.views_database, settings.timeout_seconds)
    handler = HistoryCallHandler(store, settings)
    app.parallel_consumer(
        HISTORY_REQUESTS,
        decode=decoder(HistoryRequest),
        call=handler.call,
        in_flight_max=settings.in_flight_max,
        call_seconds_max=3.0 * settings.timeout_seconds,
    )

    @app.on_before_shutdown.connect
    async def close_store(*_: object, **__: object) -> None:
        await asyncio.to_thread(store.close)


def build_merchants_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `merchants`: registrations to the compacted topic. Raises ConfigurationError."""
    app = new_app(merchants.GROUP, instance_id, env)
    agent = merchants.MerchantsAgent(merchant_policy(env), Placement.of(app))
    table = app.transactional_table(
        "merchants",
        **state_codec(
            "merchants", MerchantState, merchants.encode_merchant, merchants.decode_merchant
        ),
    )

    @app.agent(app.batch_topic(MERCHANTS_COMMANDS, decode=decoder(MerchantCommand)))
    async def handle_commands(stream: BatchStream) -> None:
        async for batch in stream:
            agent.handle(batch, table.partition(batch))

    return app
