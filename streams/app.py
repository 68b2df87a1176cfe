"""Composition roots: settings and agents become the three workers of this room."""

import asyncio
from collections.abc import Iterator, Mapping

from engine import EngineApp, ProducerRecord, Record, TransactionalTable
from runtime import log
from runtime.clock import now_ms
from runtime.settings import Connections, connections, load
from schemas.codec import decoder
from schemas.enums import Network
from schemas.records import HistoryRequest, MerchantCommand, NetworkRequest, PaymentCommand
from schemas.topics import (
    HISTORY_REQUESTS,
    MERCHANTS_COMMANDS,
    NETWORK_REQUESTS,
    PAYMENTS_COMMANDS,
)
from streams.agents import merchants, network, payments
from streams.agents.archiving import ArchiveScheduler
from streams.agents.deadlines import DeadlineScheduler
from streams.agents.event_store import ClickHouseEvents
from streams.agents.history import HistoryCallHandler
from streams.agents.network_client import NetworkClient
from streams.domain import next_due_at_ms
from streams.settings import (
    ArchiveSettings,
    DeadlineSettings,
    HistorySettings,
    NetworkSettings,
    merchant_policy,
    policy,
)
from streams.state_codec import decode_marker, decode_state, encode_marker, encode_state
from workers.app import WorkerSettings, new_app


def build_payments_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `payments`: commands to events, and deadlines. Raises ConfigurationError."""
    settings = load(DeadlineSettings, "deadlines", env)
    app = new_app(payments.GROUP, instance_id, env)
    table = app.transactional_table(
        "payments", encode=encode_state, decode=decode_state, due_ms=next_due_at_ms
    )
    markers = app.transactional_table("archived", encode=encode_marker, decode=decode_marker)
    agent = payments.PaymentsAgent(policy(env), load(WorkerSettings, "worker", env).partitions)
    deadlines = DeadlineScheduler(table, app.produce, settings)
    logger = log.get("streams.deadlines")

    @app.agent(app.batch_topic(PAYMENTS_COMMANDS, decode=decoder(PaymentCommand)))
    async def take_commands(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for batch in stream:
            agent.handle(batch, table.partition(batch), markers.partition(batch))

    @app.timer(interval=settings.interval_seconds)
    async def send_deadlines() -> None:
        try:
            await deadlines.tick(now_ms())
        except Exception as error:  # the broker is away: the next tick sends them
            logger.warning("deadlines_not_sent", error=repr(error))

    _add_archiving(app, table, env)
    return app


def _add_archiving(app: EngineApp, table: TransactionalTable, env: Mapping[str, str]) -> None:
    settings = load(ArchiveSettings, "archive", env)
    archiving = ArchiveScheduler(table, app.produce, policy(env), settings)
    logger = log.get("streams.archiving")

    @app.timer(interval=settings.interval_seconds)
    async def sweep() -> None:
        try:
            await archiving.tick(now_ms())
        except Exception as error:  # the broker is away: the next sweep sends them
            logger.warning("archive_commands_not_sent", error=repr(error))


def build_network_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `network`: intents to calls to results. Raises ConfigurationError."""
    settings = load(NetworkSettings, "network", env)
    known = connections(env).need("network_url")
    app = new_app(network.GROUP, instance_id, env)
    clients: dict[str, NetworkClient] = {}
    agents: list[network.NetworkCallHandler] = []

    def is_new(record: Record) -> bool:
        since_ms = lane.assigned_at_ms.get((record.topic, record.partition))
        margin_ms = int(settings.fallback_ownership_margin_seconds * 1000)
        return since_ms is not None and record.timestamp_ms > since_ms + margin_ms

    async def call(record: Record) -> list[ProducerRecord]:
        """Made at the first call: clients belong to the running event loop."""
        if not agents:
            clients.update(_network_clients(known, settings))
            agents.append(network.NetworkCallHandler(clients, settings, is_new))
        return await agents[0].call(record)

    lane = app.parallel_consumer(
        NETWORK_REQUESTS,
        decode=decoder(NetworkRequest),
        call=call,
        in_flight_max=settings.in_flight_max,
        call_seconds_max=settings.call_seconds_max,
    )

    @app.on_before_shutdown.connect
    async def close_clients(*_: object, **__: object) -> None:
        await asyncio.gather(*(client.close() for client in clients.values()))

    _add_history(app, known.clickhouse_url, env)
    return app


def _network_clients(
    known: Connections, settings: NetworkSettings
) -> Iterator[tuple[str, NetworkClient]]:
    urls = {Network.PRIMARY: known.network_url, Network.FALLBACK: known.network_fallback_url}
    for name, url in urls.items():
        if url:
            yield name, NetworkClient(url, settings.timeout_seconds, settings.in_flight_max)


def _add_history(app: EngineApp, clickhouse_url: str, env: Mapping[str, str]) -> None:
    """The lane that fetches archived payments; without an audit store they stay archived."""
    settings = load(HistorySettings, "history", env)
    if not clickhouse_url:
        log.get("streams.history").warning("no_audit_store", advice="set CLICKHOUSE_URL")
        return
    store = ClickHouseEvents(clickhouse_url, settings.views_database, settings.timeout_seconds)
    agent = HistoryCallHandler(store, settings)
    app.parallel_consumer(
        HISTORY_REQUESTS,
        decode=decoder(HistoryRequest),
        call=agent.call,
        in_flight_max=settings.in_flight_max,
        call_seconds_max=3.0 * settings.timeout_seconds,
    )

    @app.on_before_shutdown.connect
    async def close_store(*_: object, **__: object) -> None:
        await asyncio.to_thread(store.close)


def build_merchants_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `merchants`: registrations to the compacted topic. Raises ConfigurationError."""
    app = new_app(merchants.GROUP, instance_id, env)
    agent = merchants.MerchantsAgent(merchant_policy(env))
    table = app.transactional_table(
        "merchants", encode=merchants.encode_merchant, decode=merchants.decode_merchant
    )

    @app.agent(app.batch_topic(MERCHANTS_COMMANDS, decode=decoder(MerchantCommand)))
    async def take_commands(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for batch in stream:
            agent.handle(batch, table.partition(batch))

    return app
