"""Sends a plan through the HTTP API at a fixed rate (open model), with bounded concurrency."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import stamina
import uvloop

from devstack.traffic import plan as plans
from devstack.traffic.accepted_log import AcceptedLog
from devstack.traffic.api_client import ApiClient
from devstack.traffic.card_encryption import CardEncryption
from devstack.traffic.plan_types import Intent
from devstack.traffic.registration import RegisteredMerchant, close_payouts, register
from devstack.traffic.scenario_runner import Clients, ScenarioRunner
from devstack.traffic.stats import Tally, TrafficResult, result_of
from runtime.settings import Connections, connections

PROGRESS_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class TrafficSettings:
    """One run of traffic; `rate` is payments per second, 0 as fast as concurrency allows."""

    payments: int
    rate: float = 50.0
    seed: int = 1
    merchants: int = 5
    in_flight_max: int = 500
    connections_max: int = 100
    retry_seconds: float = 60.0
    step_seconds: float = 60.0
    closes_payouts: bool = False


OnProgress = Callable[[Tally], None]


def run(
    env: Mapping[str, str], settings: TrafficSettings, on_progress: OnProgress | None = None
) -> TrafficResult:
    """Register merchants, send the payments of the plan, wait for their last steps.

    `env` needs API_URL; uses RECEIVER_URL, ADMIN_TOKEN and PAYSTREAM_STATE_DIR if they are set.
    Raises `runtime.settings.ConfigurationError`, `registration.RegistrationError`, and
    `api_client.GaveUpError` if the API does not answer before the first payment.
    """
    at = connections(env).need("api_url", "paystream_state_dir")
    stamina.instrumentation.set_on_retry_hooks([])  # retries are counted, not logged
    return uvloop.run(_run(at, settings, on_progress or (lambda _: None)))


async def _run(
    at: Connections, settings: TrafficSettings, on_progress: OnProgress
) -> TrafficResult:
    stats = Tally(settings.payments)
    intents = plans.plan(settings.seed, settings.payments, settings.merchants)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(_client(at.api_url, stats, settings, at.api_ca_file))
        shops = await _register(stack, api, at, stats, settings)
        key_set = await api.send("GET", "/.well-known/jwks.json")
        accepted = AcceptedLog(Path(at.paystream_state_dir))
        clients = Clients(
            api=api,
            customer=await stack.enter_async_context(_client("", stats, settings)),
            cards=CardEncryption(key_set.body),
            accepted=accepted,
            stats=stats,
            step_seconds=settings.step_seconds,
        )
        stack.push_async_callback(accepted.close)
        started = time.monotonic()
        await _send_all(clients, shops, intents, settings, on_progress)
        if settings.closes_payouts:
            stats.counts["payouts_closed"] = await close_payouts(api, shops)
        return result_of(stats, time.monotonic() - started)


def _client(url: str, stats: Tally, settings: TrafficSettings, ca_file: str = "") -> ApiClient:
    return ApiClient(
        url,
        stats.counts,
        connections_max=settings.connections_max,
        retry_seconds=settings.retry_seconds,
        ca_file=ca_file,
    )


async def _register(
    stack: AsyncExitStack,
    api: ApiClient,
    at: Connections,
    stats: Tally,
    settings: TrafficSettings,
) -> list[RegisteredMerchant]:
    receiver = None
    if at.receiver_url:
        receiver = await stack.enter_async_context(_client(at.receiver_url, stats, settings))
    merchants = plans.merchant_plans(settings.merchants)
    return await register(api, receiver, at.receiver_url, at.admin_token, merchants)


async def _send_all(
    clients: Clients,
    shops: list[RegisteredMerchant],
    intents: list[Intent],
    settings: TrafficSettings,
    on_progress: OnProgress,
) -> None:
    permits = asyncio.Semaphore(settings.in_flight_max)
    reporter = asyncio.create_task(_report(clients.stats, on_progress))
    started = time.monotonic()
    try:
        async with asyncio.TaskGroup() as group:
            for intent in intents:
                if settings.rate > 0:
                    due = started + intent.number / settings.rate
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                await permits.acquire()
                task = group.create_task(
                    ScenarioRunner(clients, shops[intent.merchant], intent).run()
                )
                task.add_done_callback(lambda _: permits.release())
                clients.stats.sent += 1
    finally:
        reporter.cancel()
        on_progress(clients.stats)


async def _report(stats: Tally, on_progress: OnProgress) -> None:
    while True:
        on_progress(stats)
        await asyncio.sleep(PROGRESS_SECONDS)
