"""Calls to the outside, one per record: intents in, bounded concurrent awaits, results out as
records.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from confluent_kafka import KafkaException
from mode import Service

from engine.broker.blocking_calls import BlockingCallThread
from engine.consumers.group_consumer import LaneConsumer
from engine.consumers.offsets import OffsetTracker
from engine.errors import BatchFailed, Retry
from engine.producer_record import ProducerRecord
from engine.record import Record
from engine.transactions.transaction import SourcePartition
from schemas.enums import DeadLetterReason

CallResult = list[ProducerRecord]
CallFunction = Callable[[Record], Awaitable[CallResult]]
log = logging.getLogger(__name__)
BACKOFF_SECONDS_MAX = 30.0


class InFlightRecord:
    """One record on its way through the lane."""

    __slots__ = ("message", "source", "task")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.source: SourcePartition = (message.topic(), message.partition())
        self.task: asyncio.Task[None] | None = None


class ParallelConsumer(Service):
    """At-least-once executor of intents, beside the transactional agents.

    `call(record)` returns the results to write; they are written by the idempotent producer, and
    the committed offset moves only below the first record whose results are not yet durable.
    Records of one key are called one after another (`key_order`), different keys concurrently,
    `in_flight_max` at once. A call that raises is repeated with growing pauses, `attempts_max`
    times, then dead-lettered; one that raises `Retry` is repeated without limit. So a call may
    happen twice: it needs an idempotency key.
    """

    def __init__(  # noqa: PLR0913 - bounds with defaults, keyword only
        self,
        app: Any,
        topic: str,
        *,
        decode: Callable[[bytes], Any],
        call: CallFunction,
        in_flight_max: int = 200,
        key_order: bool = True,
        buffered_records_max: int | None = None,
        attempts_max: int = 5,
        backoff_seconds: float = 0.5,
        call_seconds_max: float = 60.0,
        grace_seconds: float = 5.0,
    ) -> None:
        super().__init__()
        self.topic = topic
        self.grace_seconds = grace_seconds
        self.ready = False
        self.assigned_at_ms: dict[SourcePartition, int] = {}
        """Since when each partition is ours: an older record may have been called elsewhere."""
        self.counts = {"records": 0, "results": 0, "retries": 0, "dead_letters": 0}
        self._app = app
        self._decode = decode
        self._call = call
        self._key_order = key_order
        self._held_max = buffered_records_max or 4 * in_flight_max
        self._attempts_max = attempts_max
        self._backoff_seconds = backoff_seconds
        self._call_seconds_max = call_seconds_max
        self._slots = asyncio.Semaphore(in_flight_max)
        self._thread = BlockingCallThread(f"engine-lane-{topic}")
        self._consumer: LaneConsumer | None = None
        self._trackers: dict[SourcePartition, OffsetTracker] = {}
        self._committed: dict[SourcePartition, int] = {}
        self._queues: dict[object, deque[InFlightRecord]] = {}
        self._held: set[InFlightRecord] = set()

    async def on_start(self) -> None:
        """Join the group."""
        loop = asyncio.get_running_loop()
        self._consumer = LaneConsumer(self._app.engine.config, self.topic, self, loop)

    async def on_stop(self) -> None:
        """Finish what is in flight within `grace_seconds`, commit, leave."""
        if self._consumer is None:
            return
        limit = 2 * self.grace_seconds + 10
        try:
            await self._thread.call(limit, self._consumer.close)
        finally:
            self._thread.abandon()

    @Service.task
    async def _read(self) -> None:
        try:
            while not self.should_stop:
                await self._step()
        except Exception as exc:
            await self._app.crash(exc)
            raise

    async def _step(self) -> None:
        assert self._consumer is not None
        room = self._held_max - len(self._held)
        offsets = self._to_commit()
        limit = self._app.engine_settings.call_seconds_max
        messages, committed = await self._thread.call(limit, self._consumer.step, room, offsets)
        if committed:
            self._committed.update(offsets)
        for message in messages:
            self._accept(message)

    # -- partitions come and go

    def took_over(self, sources: list[SourcePartition]) -> None:
        """Called by the consumer after an assignment (also an empty one)."""
        self.ready = True
        for source in sources:
            self._trackers[source] = OffsetTracker()
            self.assigned_at_ms[source] = time.time_ns() // 1_000_000

    async def let_go(
        self, sources: list[SourcePartition], grace_seconds: float
    ) -> dict[SourcePartition, int]:
        """Drop what has not begun, wait for what has, cancel the rest; offsets that are durable."""
        going = set(sources)
        mine = [errand for errand in self._held if errand.source in going]
        begun = {errand.task for errand in mine if errand.task is not None}
        self._unqueue(going)
        if begun and grace_seconds > 0:
            await asyncio.wait(begun, timeout=grace_seconds)
        for task in begun:
            task.cancel()
        self._held.difference_update(mine)
        offsets = self._to_commit()
        for source in sources:
            self._trackers.pop(source, None)
            self._committed.pop(source, None)
            self.assigned_at_ms.pop(source, None)
        return {source: offset for source, offset in offsets.items() if source in going}

    def _unqueue(self, going: set[SourcePartition]) -> None:
        for queue in self._queues.values():
            kept = [errand for errand in queue if errand.source not in going]
            queue.clear()
            queue.extend(kept)

    def _to_commit(self) -> dict[SourcePartition, int]:
        return {
            source: tracker.committable
            for source, tracker in self._trackers.items()
            if tracker.committable is not None
            and tracker.committable != self._committed.get(source)
        }

    # -- one record

    def _accept(self, message: Any) -> None:
        errand = InFlightRecord(message)
        tracker = self._trackers.get(errand.source)
        if tracker is None:
            return  # it was revoked while this poll was on its way
        tracker.add(message.offset())
        self._held.add(errand)
        self.counts["records"] += 1
        key: object = message.key() if self._key_order and message.key() is not None else errand
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque([errand])
            self._start_next(key)
        else:
            queue.append(errand)

    def _start_next(self, key: object) -> None:
        queue = self._queues[key]
        if not queue:
            del self._queues[key]
            return
        errand = queue.popleft()
        errand.task = asyncio.get_running_loop().create_task(self._run(errand))
        errand.task.add_done_callback(lambda task: self._ended(key, errand, task))

    def _ended(self, key: object, errand: InFlightRecord, task: asyncio.Task[None]) -> None:
        self._held.discard(errand)
        self._start_next(key)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.add_future(self._app.crash(error))
            return
        tracker = self._trackers.get(errand.source)
        if tracker is not None:
            tracker.done(errand.message.offset())

    async def _run(self, errand: InFlightRecord) -> None:
        try:
            record = Record(errand.message, self._decode(errand.message.value()))
        except Exception as exc:
            await self._dead_letter(errand, DeadLetterReason.UNDECODABLE, exc)
            return
        attempt = 0
        while True:
            try:
                await self._call_once(record)
                return
            except Retry as retry:
                await self._pause(retry.seconds)
            except Exception as exc:
                attempt += 1
                if attempt >= self._attempts_max:
                    await self._dead_letter(errand, DeadLetterReason.CALL_FAILED, exc)
                    return
                log.warning("lane %s: attempt %d: %r", self.topic, attempt, exc)
                await self._pause(self._backoff_seconds * 2 ** (attempt - 1))

    async def _call_once(self, record: Record) -> None:
        async with self._slots:
            async with asyncio.timeout(self._call_seconds_max):
                results = await self._call(record)
            await self._write(results)

    async def _write(self, results: CallResult) -> None:
        """Until all are durable: the call was made, its results must not be lost."""
        while True:
            try:
                await asyncio.gather(*(self._app.sender.send(result) for result in results))
            except KafkaException as exc:
                log.warning("lane %s: results not written yet: %s", self.topic, exc)
                await self._pause(1.0)
                continue
            self.counts["results"] += len(results)
            return

    async def _dead_letter(
        self, errand: InFlightRecord, reason: DeadLetterReason, error: Exception
    ) -> None:
        dead_letters = self._app.engine.dead_letters
        message = errand.message
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        if dead_letters is None:
            raise BatchFailed(f"{place}: {error!r}") from error
        log.error("%s goes to the dead letters (%s): %r", place, reason, error)
        await self._write([dead_letters.letter(message, reason, error)])
        self.counts["dead_letters"] += 1

    async def _pause(self, seconds: float) -> None:
        self.counts["retries"] += 1
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, no secret
        await asyncio.sleep(min(seconds, BACKOFF_SECONDS_MAX) * jitter)
