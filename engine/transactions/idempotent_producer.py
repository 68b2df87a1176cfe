"""Writing records outside of a transaction, each acknowledged by all in-sync replicas."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as KafkaProducer

from engine.broker.acknowledgement import not_acknowledged
from engine.broker.clients import ClientConfig
from engine.producer_record import ProducerRecord

POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
SENDS_MAX = 3


class IdempotentProducer:
    """An idempotent producer for timers, executors and lanes.

    One thread polls; delivery reports are collected and handed to the event loop in one wake-up.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Semaphore(config.settings.send_outstanding_max)
        self._reports: deque[tuple[asyncio.Future[None], Any]] = deque()
        self._scheduled = False
        self._stopping = threading.Event()

    async def send(self, outgoing: ProducerRecord) -> None:
        """Returns when the broker has acknowledged; raises `KafkaException` when it will not.

        A caller that comes while the worker stops is cancelled, as all of the worker's tasks then
        are; what it would have sent follows after the next start from what is durable. Waits while
        `send_outstanding_max` records are on their way. A record of which nobody knows
        whether the broker has it is sent again: it may be there twice.
        """
        async with self._room:
            for _ in range(SENDS_MAX - 1):
                try:
                    await self._sent(outgoing)
                except KafkaException as exc:
                    if exc.args[0].code() != KafkaError._STATE:
                        raise
                else:
                    return
            await self._sent(outgoing)

    async def _sent(self, outgoing: ProducerRecord) -> None:
        future = self._produce(outgoing)
        while future is None:  # librdkafka's own queue is full
            await asyncio.sleep(0.01)
            future = self._produce(outgoing)
        await future

    async def close(self) -> None:
        """Deliver what is on its way, bounded."""
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._on_the_way() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - librdkafka's queue has no event
            await asyncio.sleep(0.02)
        self._stopping.set()
        self._client = None

    def _on_the_way(self) -> int:
        return 0 if self._client is None else len(self._client)

    def _produce(self, outgoing: ProducerRecord) -> asyncio.Future[None] | None:
        client = self._open()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            client.produce(
                outgoing.topic,
                outgoing.value,
                outgoing.key,
                -1 if outgoing.partition is None else outgoing.partition,
                on_delivery=lambda error, message: self._report(
                    future, not_acknowledged(error, message)
                ),
                headers=dict(outgoing.headers) or None,
            )
        except BufferError:
            return None
        return future

    def _open(self) -> Any:
        if self._stopping.is_set():
            raise asyncio.CancelledError("the worker is stopping: nothing more is sent")
        if self._client is None:
            self._loop = asyncio.get_running_loop()
            self._client = KafkaProducer(self._config.idempotent_producer())
            threading.Thread(
                target=self._poll, args=(self._client,), name="engine-sender", daemon=True
            ).start()
        return self._client

    def _poll(self, client: Any) -> None:
        while not self._stopping.is_set():
            client.poll(POLL_SECONDS)

    def _report(self, future: asyncio.Future[None], error: Any) -> None:
        self._reports.append((future, error))
        if not self._scheduled and self._loop is not None and not self._loop.is_closed():
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._scheduled = False
        while self._reports:
            future, error = self._reports.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(KafkaException(error))
