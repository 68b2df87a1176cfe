"""Requests per second that the API accepts: payment creations, written to Kafka before the 202."""

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
from confluent_kafka import Producer

from bench.broker import BenchBroker
from bench.figures import Figure
from bench.merchants import bench_merchant
from bench.options import Options
from devstack.services import valkey
from devstack.services.child import Child, Launch
from devstack.services.http_probe import answers_ok
from devstack.services.ports import free_port
from ingest_api.merchants.keys import new_api_key
from paystream.operations import topics
from runtime.id_generator import new_id
from runtime.kafka import producer_settings
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import key_hash
from schemas.codec import encode
from schemas.enums import Mode
from schemas.records import ApiKey
from schemas.topics import MERCHANTS

CONNECTIONS = 64
NO_LIMIT = {
    "PAYSTREAM_API_REQUESTS_PER_SECOND": "1000000",
    "PAYSTREAM_API_REQUEST_BURST": "1000000",
}
WARM_UP_REQUESTS = 2000
REQUESTS = 20_000
JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
PAYMENT = {"amount": 1999, "currency": "EUR", "card": JWE}


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """The load comes from this process, on the same cores."""
    rates, half, most = [], [], []
    with api_process(broker) as url:
        headers = {"Authorization": f"Bearer {register(broker.bootstrap)}"}
        asyncio.run(send(url, headers, WARM_UP_REQUESTS))
        for _ in range(options.runs):
            began = time.perf_counter()
            delays = asyncio.run(send(url, headers, REQUESTS))
            rates.append(REQUESTS / (time.perf_counter() - began))
            half.append(delays[len(delays) // 2])
            most.append(delays[len(delays) * 99 // 100])
    return [
        Figure("api", f"POST /v1/payments, {CONNECTIONS} connections", "requests/s", rates),
        Figure("api", "p50", "ms", half),
        Figure("api", "p99", "ms", most),
    ]


@contextmanager
def api_process(broker: BenchBroker, settings: Mapping[str, str] = NO_LIMIT) -> Iterator[str]:
    """One API worker with its Valkey; the URL."""
    topics.create_all(KafkaConnection(broker.bootstrap))
    directory = broker.directory / "api"
    valkey_port, port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "REDIS_URL": valkey.url(valkey_port),
        "PAYSTREAM_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
        **settings,
    }
    launches = (
        valkey.launch(directory / "valkey", valkey_port, directory),
        Launch(
            name="api",
            command=(sys.executable, "-m", "ingest_api", f"--port={port}"),
            log_path=Path(directory) / "api.log",
            environment=environment,
            ready=lambda: answers_ok(f"{url}/readyz"),
        ),
    )
    with ExitStack() as stack:
        for launch in launches:
            child = Child(launch)
            stack.callback(child.kill_group)
            child.wait_ready()
        yield url


def register(bootstrap: str) -> str:
    """Publish a merchant as its agent would; its API key."""
    secret = new_api_key(Mode.TEST)
    merchant = bench_merchant(
        new_id("mer_"),
        api_keys=[ApiKey(key_id=new_id("key_"), mode="test", key_hash=key_hash(secret))],
    )
    producer = Producer(producer_settings(KafkaConnection(bootstrap)))
    producer.produce(MERCHANTS, encode(merchant), merchant.merchant_id)
    if producer.flush(20):
        raise RuntimeError("the merchant was not acknowledged")
    time.sleep(2)  # the API follows the topic
    return secret


async def send(url: str, headers: dict[str, str], count: int) -> list[float]:
    """Milliseconds of each request, sorted. Raises RuntimeError for an answer that is not 202."""
    delays: list[float] = []
    batch, numbers = secrets.token_urlsafe(6), iter(range(count))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as session:

        async def client() -> None:
            for number in numbers:
                began = time.perf_counter()
                key = {"Idempotency-Key": f"{batch}-{number}"}
                async with session.post("/v1/payments", json=PAYMENT, headers=key) as answer:
                    if answer.status != 202:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")
                    await answer.read()
                delays.append((time.perf_counter() - began) * 1000)

        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return sorted(delays)
