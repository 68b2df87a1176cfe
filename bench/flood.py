"""What one merchant's flood costs another merchant: p99 of the calm one, with and without it.

An open model: the calm merchant sends at a fixed rate whatever the API does. A delay counts from
the moment at which a request was due. The flood comes from a process of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import time
from multiprocessing.synchronize import Event
from typing import Any

import aiohttp

from bench.api import PAYMENT, api_process, register
from bench.broker import BenchBroker
from bench.figures import Figure, ratio
from bench.options import Options

CALM_PER_SECOND = 50
SECONDS = 10
FLOOD_CONNECTIONS = 16
LIMITS = {"PAYSTREAM_API_REQUESTS_PER_SECOND": "100", "PAYSTREAM_API_REQUEST_BURST": "500"}
"""The defaults of production."""


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """Runs alternate: calm alone, then with the flood."""
    alone, flooded, refused = [], [], []
    with api_process(broker, LIMITS) as url:
        calm, wild = register(broker.bootstrap), register(broker.bootstrap)
        asyncio.run(send_calm(url, calm, 2))
        for _ in range(options.runs):
            alone.append(p99(asyncio.run(send_calm(url, calm, SECONDS))))
            with_flood, rate = flooded_run(url, calm, wild)
            flooded.append(with_flood)
            refused.append(rate)
    quiet = Figure("flood", f"calm merchant at {CALM_PER_SECOND}/s, p99 alone", "ms", alone)
    noisy = Figure("flood", "the same beside a flood", "ms", flooded)
    return [
        quiet,
        noisy,
        ratio("p99 beside the flood / alone", "", noisy, quiet),
        Figure("flood", "requests of the flood that were answered", "requests/s", refused),
    ]


def flooded_run(url: str, calm: str, wild: str) -> tuple[float, float]:
    """(p99 of the calm merchant, answers to the flood per second)."""
    context = multiprocessing.get_context("spawn")
    over, answers = context.Event(), context.Value("l", 0)
    flood = context.Process(target=run_flood, args=(url, wild, over, answers))
    flood.start()
    time.sleep(3)  # the burst is used up
    before = answers.value
    delays = asyncio.run(send_calm(url, calm, SECONDS))
    rate = (answers.value - before) / SECONDS
    over.set()
    flood.join()
    return p99(delays), rate


def p99(delays: list[float]) -> float:
    """Of sorted values."""
    return delays[len(delays) * 99 // 100]


async def send_calm(url: str, key: str, seconds: int) -> list[float]:
    """Milliseconds from the moment a request was due to its 202, sorted."""
    delays: list[float] = []
    headers = {"Authorization": f"Bearer {key}"}
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(url, headers=headers) as session:

        async def one(due: float) -> None:
            await asyncio.sleep(max(0.0, due - loop.time()))
            idempotency = {"Idempotency-Key": secrets.token_urlsafe(9)}
            async with session.post("/v1/payments", json=PAYMENT, headers=idempotency) as answer:
                if answer.status != 202:
                    raise RuntimeError(f"{answer.status}: {await answer.text()}")
                await answer.read()
            delays.append((loop.time() - due) * 1000)

        start = loop.time() + 0.1
        count = CALM_PER_SECOND * seconds
        await asyncio.gather(*(one(start + n / CALM_PER_SECOND) for n in range(count)))
    return sorted(delays)


def run_flood(url: str, key: str, over: Event, answers: Any) -> None:
    """As many requests as the connections carry, until it is over."""
    asyncio.run(_flood(url, key, over, answers))


async def _flood(url: str, key: str, over: Event, answers: Any) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(limit=FLOOD_CONNECTIONS)
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as session:

        async def client() -> None:
            while not over.is_set():
                idempotency = {"Idempotency-Key": secrets.token_urlsafe(9)}
                async with session.post(
                    "/v1/payments", json=PAYMENT, headers=idempotency
                ) as answer:
                    await answer.read()
                answers.value += 1

        await asyncio.gather(*(client() for _ in range(FLOOD_CONNECTIONS)))
