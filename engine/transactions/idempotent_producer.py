"""Writes records outside of a transaction, each acknowledged by all in-sync replicas."""

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
    """Behind `app.produce` and the results of parallel consumers.

    One thread polls; delivery reports are collected and passed to the event loop in one wake-up.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outstanding = asyncio.Semaphore(config.settings.send_outstanding_max)
        self._reports: deque[tuple[asyncio.Future[None], Any]] = deque()
        self._scheduled = False
        self._stopping = threading.Event()

    async def send(self, record: ProducerRecord) -> None:
        """Returns when the broker has acknowledged; raises `KafkaException` when it never will.

        Waits while `send_outstanding_max` records are outstanding. A call while the worker stops
        is cancelled, like all of the worker's tasks; its sender starts again from what is durable.
        A record without a confirmation is sent again: it may be in the topic twice.
        """
        async with self._outstanding:
            for _ in range(SENDS_MAX - 1):
                try:
                    await self._send_once(record)
                except KafkaException as exc:
                    if exc.args[0].code() != KafkaError._STATE:
                        raise
                else:
                    return
            await self._send_once(record)

    async def _send_once(self, record: ProducerRecord) -> None:
        future = self._produce(record)
        while future is None:  # librdkafka's own queue is full
            await asyncio.sleep(0.01)
            future = self._produce(record)
        await future

    async def close(self) -> None:
        """Deliver what is outstanding, within a limit."""
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._outstanding_count() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - librdkafka's queue has no event
            await asyncio.sleep(0.02)
        self._stopping.set()
        self._client = None

    def _outstanding_count(self) -> int:
        return 0 if self._client is None else len(self._client)

    def _produce(self, record: ProducerRecord) -> asyncio.Future[None] | None:
        client = self._open()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            client.produce(
                record.topic,
                record.value,
                record.key,
                -1 if record.partition is None else record.partition,
                on_delivery=lambda error, message: self._report(
                    future, not_acknowledged(error, message)
                ),
                headers=dict(record.headers) or None,
            )
        except BufferError:
            return None
        return future

    def _open(self) -> Any:
        if self._stopping.is_set():
            raise asyncio.CancelledError("The worker is stopping; nothing more is sent.")
        if self._client is None:
            self._loop = asyncio.get_running_loop()
            self._client = KafkaProducer(self._config.idempotent_producer())
            threading.Thread(
                target=self._poll, args=(self._client,), name="engine-producer", daemon=True
            ).start()
        return self._client

    def _poll(self, client: Any) -> None:
        while not self._stopping.is_set():
            client.poll(POLL_SECONDS)

    def _report(self, future: asyncio.Future[None], error: Any) -> None:
        self._reports.append((future, error))
        if not self._scheduled and self._loop is not None and not self._loop.is_closed():
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._resolve_futures)

    def _resolve_futures(self) -> None:
        self._scheduled = False
        while self._reports:
            future, error = self._reports.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(KafkaException(error))
