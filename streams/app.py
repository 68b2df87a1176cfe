"""Composition roots: settings and agents become the three workers of this room."""

from collections.abc import Mapping

from engine import EngineApp, Outgoing, Record
from engine.worker_app import WorkerSettings, new_app
from runtime import log
from runtime.clock import now_ms
from runtime.settings import connections, load
from schemas.codec import decoder
from schemas.records import MerchantCommand, NetworkRequest, PaymentCommand
from schemas.topics import MERCHANTS_COMMANDS, NETWORK_REQUESTS, PAYMENTS_COMMANDS
from streams.agents import merchants, network, payments
from streams.agents.deadlines import Deadlines
from streams.agents.network_call import NetworkClient
from streams.domain import next_due_at_ms
from streams.settings import (
    DeadlineSettings,
    NetworkSettings,
    merchant_policy,
    policy,
)
from streams.state_codec import decode_state, encode_state


def build_payments_app(slot: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `payments`: commands to events, and deadlines. Raises BadSetting."""
    settings = load(DeadlineSettings, "deadlines", env)
    app = new_app(payments.GROUP, slot, env)
    table = app.transactional_table(
        "payments", encode=encode_state, decode=decode_state, due_ms=next_due_at_ms
    )
    agent = payments.PaymentsAgent(policy(env), load(WorkerSettings, "worker", env).partitions)
    deadlines = Deadlines(table, app.producer_send, settings)
    logger = log.get("streams.deadlines")

    @app.agent(app.batch_topic(PAYMENTS_COMMANDS, decode=decoder(PaymentCommand)))
    async def take_commands(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for batch in stream:
            agent.handle(batch, table.partition(batch))

    @app.timer(interval=settings.interval_seconds)
    async def send_deadlines() -> None:
        try:
            await deadlines.tick(now_ms())
        except Exception as error:  # the broker is away: the next tick sends them
            logger.warning("deadlines_not_sent", error=repr(error))

    return app


def build_network_app(slot: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `network`: intents to calls to results. Raises BadSetting."""
    settings = load(NetworkSettings, "network", env)
    known = connections(env).need("network_url")
    app = new_app(network.GROUP, slot, env)
    agents: list[network.NetworkAgent] = []

    async def call(record: Record) -> list[Outgoing]:
        """Made at the first call: the client belongs to the running event loop."""
        if not agents:
            client = NetworkClient(
                known.network_url, settings.timeout_seconds, settings.in_flight_max
            )
            agents.append(network.NetworkAgent(client, settings))
        return await agents[0].call(record)

    app.external_lane(
        NETWORK_REQUESTS,
        decode=decoder(NetworkRequest),
        call=call,
        in_flight_max=settings.in_flight_max,
        call_seconds_max=settings.call_seconds_max,
    )
    return app


def build_merchants_app(slot: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `merchants`: registrations to the compacted topic. Raises BadSetting."""
    app = new_app(merchants.GROUP, slot, env)
    agent = merchants.MerchantsAgent(merchant_policy(env))
    table = app.transactional_table(
        "merchants", encode=merchants.encode_merchant, decode=merchants.decode_merchant
    )

    @app.agent(app.batch_topic(MERCHANTS_COMMANDS, decode=decoder(MerchantCommand)))
    async def take_commands(stream):  # type: ignore[no-untyped-def] # Faust's streams carry no types
        async for batch in stream:
            agent.handle(batch, table.partition(batch))

    return app
