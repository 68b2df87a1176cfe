"""Valkey's documents: public views of payments, outcomes of commands, used idempotency keys.

Lookups of all requests in flight share one round trip: while one pipeline is out, the next one
collects. Valkey is never the only copy, so every failure is a StatusUnavailable.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from ingest_api.commands.errors import StatusUnavailable
from ingest_api.limits.gcra import SCRIPT, Grant, Quota
from ingest_api.settings import ApiSettings
from runtime import log
from runtime.store_connections import ValkeyConnection
from runtime.valkey import connect_async
from schemas.status_keys import RATE_LIMIT_PREFIX

_BATCH_LOOKUPS_MAX = 256
_Queue = Callable[["Pipeline"], Any]


class KeyReservation(NamedTuple):
    """The reservation of an idempotency key, made now or by an earlier request."""

    first_fingerprint: str | None
    """Fingerprint of the first request with this key; None if this request is the first."""
    documents: list[bytes | None]
    """Values of the other keys that were read in the same round trip."""


class StatusStore:
    """Reads documents by key (`schemas.status_keys`) and reserves idempotency keys."""

    def __init__(self, where: ValkeyConnection, settings: ApiSettings) -> None:
        self._settings = settings
        self._valkey = connect_async(where, settings.valkey_timeout_seconds)
        self._pending: list[tuple[_Queue, asyncio.Future[list[Any]]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._paused_until = 0.0
        self._log = log.get("ingest_api.commands.status_store")

    @property
    def answers(self) -> bool:
        """Whether calls are made: after a failed one there is a pause."""
        return asyncio.get_running_loop().time() >= self._paused_until

    async def get_many(self, *keys: str) -> list[bytes | None]:
        """The values of these keys. Raises StatusUnavailable."""
        [values] = await self._query(lambda pipeline: pipeline.mget(keys), commands=1)
        return list(values)

    async def reserve_key(self, name: str, fingerprint: str, *keys: str) -> KeyReservation:
        """Reserve `name` for this fingerprint unless it is reserved already, and read `keys`.

        Raises StatusUnavailable.
        """

        def queue(pipeline: Pipeline) -> None:
            pipeline.set(
                name, fingerprint, ex=self._settings.idempotency_seconds, nx=True, get=True
            )
            if keys:
                pipeline.mget(keys)

        first, *values = await self._query(queue, commands=2 if keys else 1)
        documents = list(values[0]) if values else []
        return KeyReservation(None if first is None else first.decode(), documents)

    async def count(self, name: str, quota: Quota, wanted: int) -> Grant:
        """Take from a rate limit's quota (`ingest_api.limits`). Raises StatusUnavailable."""
        key = f"{RATE_LIMIT_PREFIX}{name}"
        arguments = (quota.interval_microseconds, quota.burst, wanted)
        [granted] = await self._query(
            lambda pipeline: pipeline.eval(SCRIPT, 1, key, *arguments), commands=1
        )
        return Grant(*granted)

    async def stop(self) -> None:
        """Close the connections."""
        await self._valkey.aclose()

    async def _query(self, queue: _Queue, commands: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until:
            raise StatusUnavailable("Valkey failed a moment ago; calls are paused.")
        if len(self._pending) >= self._settings.valkey_pending_max:
            raise StatusUnavailable("Too many lookups are waiting for Valkey.")
        answered: asyncio.Future[list[Any]] = loop.create_future()
        self._pending.append((queue, answered))
        if self._flushing is None or self._flushing.done():
            self._flushing = loop.create_task(self._flush())
        results = await answered
        assert len(results) == commands
        return results

    async def _flush(self) -> None:
        while self._pending:
            batch = self._pending[:_BATCH_LOOKUPS_MAX]
            del self._pending[:_BATCH_LOOKUPS_MAX]
            try:
                async with asyncio.timeout(self._settings.valkey_timeout_seconds):
                    await self._execute(batch)
            except (RedisError, OSError, TimeoutError) as error:
                self._fail([*batch, *self._pending], error)

    async def _execute(self, batch: list[tuple[_Queue, asyncio.Future[list[Any]]]]) -> None:
        sizes = []
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for queue, _ in batch:
                before = len(pipeline)
                queue(pipeline)
                sizes.append(len(pipeline) - before)
            results = await pipeline.execute(raise_on_error=False)
        start = 0
        for (_, answered), size in zip(batch, sizes, strict=True):
            found = results[start : start + size]
            start += size
            if answered.done():
                continue
            if refused := next((each for each in found if isinstance(each, Exception)), None):
                self._log.error("valkey refuses a lookup", error=repr(refused))
                answered.set_exception(StatusUnavailable(repr(refused)))
            else:
                answered.set_result(found)

    def _fail(
        self, lookups: list[tuple[_Queue, asyncio.Future[list[Any]]]], error: Exception
    ) -> None:
        self._pending.clear()
        loop = asyncio.get_running_loop()
        self._paused_until = loop.time() + self._settings.valkey_pause_seconds
        self._log.warning("valkey does not answer", error=repr(error), lookups=len(lookups))
        for _, answered in lookups:
            if not answered.done():
                answered.set_exception(StatusUnavailable(repr(error)))
