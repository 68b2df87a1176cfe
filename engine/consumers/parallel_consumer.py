"""Calls to other systems, one per record: requests in, bounded concurrency, results as records."""

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
from engine.consumers.dead_letters import DeadLetterReason
from engine.consumers.group_consumer import GroupConsumer
from engine.consumers.offsets import OffsetTracker
from engine.context import EngineContext
from engine.errors import BatchFailed, RecordTooLarge, Retry
from engine.producer_record import ProducerRecord
from engine.record import NEWER_RECORD_PAUSE_SECONDS, Record, decoded
from engine.transactions.idempotent_producer import IdempotentProducer
from engine.types import TopicPartition

CallResult = list[ProducerRecord]
CallFunction = Callable[[Record], Awaitable[CallResult]]
Crash = Callable[[BaseException], Awaitable[None]]
log = logging.getLogger(__name__)
BACKOFF_SECONDS_MAX = 30.0


class InFlightRecord:
    """One record between its read and the end of its call."""

    __slots__ = ("message", "source", "task")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.source = TopicPartition(message.topic(), message.partition())
        self.task: asyncio.Task[None] | None = None


class ParallelConsumer(Service):
    """Runs one call per record, at least once, beside the transactional agents.

    `call(record)` returns the results to write. The idempotent producer writes them, and the
    committed offset moves only below the first record whose results are not yet durable. Records
    of one key are called one after another (`key_order`), different keys concurrently,
    `in_flight_max` at once. A call that raises is repeated with growing pauses, `attempts_max`
    times, then dead-lettered; one that raises `Retry` is repeated without limit. A call may happen
    twice, so it needs an idempotency key. The name and the semantics are those of Confluent's
    Parallel Consumer. `counts`: since the start.
    """

    def __init__(  # noqa: PLR0913 - bounds with defaults, keyword only
        self,
        context: EngineContext,
        producer: IdempotentProducer,
        crash: Crash,
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
        wait_errors: tuple[type[Exception], ...] = (),
    ) -> None:
        super().__init__()
        self.topic = topic
        self.grace_seconds = grace_seconds
        self.ready = False
        self.counts = {"records": 0, "results": 0, "retries": 0, "dead_letters": 0}
        self._context = context
        self._producer = producer
        self._crash = crash
        self._owned_since_ms: dict[TopicPartition, int] = {}
        self._decode = decode
        self._call = call
        self._key_order = key_order
        self._wait_errors = wait_errors
        self._buffered_max = buffered_records_max or 4 * in_flight_max
        self._attempts_max = attempts_max
        self._backoff_seconds = backoff_seconds
        self._call_seconds_max = call_seconds_max
        self._call_limit = asyncio.Semaphore(in_flight_max)
        self._thread = BlockingCallThread(f"engine-calls-{topic}")
        self._consumer: GroupConsumer | None = None
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._queues: dict[object, deque[InFlightRecord]] = {}
        self._buffered: set[InFlightRecord] = set()

    async def on_start(self) -> None:
        """Join the group."""
        loop = asyncio.get_running_loop()
        self._consumer = GroupConsumer(self._context.config, self.topic, self, loop)

    async def on_stop(self) -> None:
        """Finish what is in flight within `grace_seconds`, commit, leave the group."""
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
            await self._crash(exc)
            raise

    async def _step(self) -> None:
        assert self._consumer is not None
        room = self._buffered_max - len(self._buffered)
        offsets = self._to_commit()
        limit = self._context.config.settings.call_seconds_max
        messages, committed = await self._thread.call(limit, self._consumer.step, room, offsets)
        if committed:
            self._committed.update(offsets)
        for message in messages:
            self._enqueue(message)

    def owned_since_ms(self, record: Record) -> int | None:
        """Since when this worker owns the record's partition, in epoch ms; None if it does not.

        A record that is older may have been called by the former owner.
        """
        return self._owned_since_ms.get(TopicPartition(record.topic, record.partition))

    # -- partitions come and go

    def on_partitions_assigned(self, sources: list[TopicPartition]) -> None:
        """Called by the consumer after an assignment (also an empty one)."""
        self.ready = True
        for source in sources:
            self._trackers[source] = OffsetTracker()
            self._owned_since_ms[source] = time.time_ns() // 1_000_000

    async def on_partitions_revoked(
        self, sources: list[TopicPartition], grace_seconds: float
    ) -> dict[TopicPartition, int]:
        """Drop what has not begun, wait for what has, cancel the rest; returns durable offsets."""
        revoked = set(sources)
        affected = [each for each in self._buffered if each.source in revoked]
        begun = {each.task for each in affected if each.task is not None}
        self._unqueue(revoked)
        if begun and grace_seconds > 0:
            await asyncio.wait(begun, timeout=grace_seconds)
        for task in begun:
            task.cancel()
        self._buffered.difference_update(affected)
        offsets = self._to_commit()
        for source in sources:
            self._trackers.pop(source, None)
            self._committed.pop(source, None)
            self._owned_since_ms.pop(source, None)
        return {source: offset for source, offset in offsets.items() if source in revoked}

    def _unqueue(self, revoked: set[TopicPartition]) -> None:
        for queue in self._queues.values():
            kept = [each for each in queue if each.source not in revoked]
            queue.clear()
            queue.extend(kept)

    def _to_commit(self) -> dict[TopicPartition, int]:
        return {
            source: tracker.committable
            for source, tracker in self._trackers.items()
            if tracker.committable is not None
            and tracker.committable != self._committed.get(source)
        }

    # -- one record

    def _enqueue(self, message: Any) -> None:
        in_flight = InFlightRecord(message)
        tracker = self._trackers.get(in_flight.source)
        if tracker is None:
            return  # it was revoked during this poll
        tracker.add(message.offset())
        self._buffered.add(in_flight)
        self.counts["records"] += 1
        key: object = message.key() if self._key_order and message.key() is not None else in_flight
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque([in_flight])
            self._start_next(key)
        else:
            queue.append(in_flight)

    def _start_next(self, key: object) -> None:
        queue = self._queues[key]
        if not queue:
            del self._queues[key]
            return
        in_flight = queue.popleft()
        in_flight.task = asyncio.get_running_loop().create_task(self._run(in_flight))
        in_flight.task.add_done_callback(lambda task: self._ended(key, in_flight, task))

    def _ended(self, key: object, in_flight: InFlightRecord, task: asyncio.Task[None]) -> None:
        self._buffered.discard(in_flight)
        self._start_next(key)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.add_future(self._crash(error))
            return
        tracker = self._trackers.get(in_flight.source)
        if tracker is not None:
            tracker.done(in_flight.message.offset())

    async def _run(self, in_flight: InFlightRecord) -> None:
        record = await self._decoded(in_flight)
        if record is None:
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
                    await self._dead_letter(in_flight, DeadLetterReason.CALL_FAILED, exc)
                    return
                log.warning("%s: attempt %d failed: %r", self.topic, attempt, exc)
                await self._pause(self._backoff_seconds * 2 ** (attempt - 1))

    async def _decoded(self, in_flight: InFlightRecord) -> Record | None:
        """None if it became a dead letter. A record of a newer release is waited with."""
        while True:
            try:
                return decoded(in_flight.message, self._decode)
            except self._wait_errors as exc:
                log.warning(
                    "%s: a record of a newer release: %s. Update this worker.", self.topic, exc
                )
                await self._pause(NEWER_RECORD_PAUSE_SECONDS)
            except Exception as exc:
                await self._dead_letter(in_flight, DeadLetterReason.UNDECODABLE, exc)
                return None

    async def _call_once(self, record: Record) -> None:
        async with self._call_limit:
            async with asyncio.timeout(self._call_seconds_max):
                results = await self._call(record)
            self._check_sizes(results)
            await self._write(results)

    def _check_sizes(self, results: CallResult) -> None:
        """Raises `RecordTooLarge`: no broker takes it, however often it is sent."""
        bytes_max = self._context.config.settings.record_bytes_max
        for result in results:
            if (size := result.size_bytes()) > bytes_max:
                raise RecordTooLarge(
                    f"A result of {size} bytes for {result.topic} is above record_bytes_max"
                    f" ({bytes_max}). Write less per record."
                )

    async def _write(self, results: CallResult) -> None:
        """Repeats until all are durable: the call was made, its results must not be lost."""
        while True:
            try:
                await asyncio.gather(*(self._producer.send(result) for result in results))
            except KafkaException as exc:
                log.warning("%s: results not written yet: %s", self.topic, exc)
                await self._pause(1.0)
                continue
            self.counts["results"] += len(results)
            return

    async def _dead_letter(
        self, in_flight: InFlightRecord, reason: DeadLetterReason, error: Exception
    ) -> None:
        dead_letters = self._context.dead_letters
        message = in_flight.message
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        if dead_letters is None:
            raise BatchFailed(f"{place}: {error!r}") from error
        log.error("%s goes to the dead letters (%s): %r", place, reason, error)
        await self._write([dead_letters.record_for(message, reason, error)])
        self.counts["dead_letters"] += 1

    async def _pause(self, seconds: float) -> None:
        self.counts["retries"] += 1
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, no secret
        await asyncio.sleep(min(seconds, BACKOFF_SECONDS_MAX) * jitter)
