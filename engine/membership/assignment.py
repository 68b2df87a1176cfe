"""One worker's time as owner of its partitions: from an assignment to the next revocation."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from engine.broker.blocking_calls import BlockingCallThread
from engine.consumers.dead_letters import DeadLetterLimit
from engine.consumers.poll_batch import PollBatch
from engine.context import EngineContext
from engine.errors import EngineError, Retry, TransactionAborted
from engine.membership.library_internals import group_metadata
from engine.state.restore import RestoreResult, StateRestorer
from engine.transactions.pacing import CommitPacing
from engine.transactions.transaction import Transaction
from engine.types import TopicPartition

log = logging.getLogger(__name__)
RESTORE_SECONDS_MAX = 24 * 3600.0  # the watchdog checks its progress
RESTORE_STOP_SECONDS = 1.0


class Assignment:
    """Restore from the log, then run cycles until drained; after an abort restore again.

    Every commit carries the generation and member id of this assignment, never of a later one.
    `phase` and `phase_at`: what it does now, and since when. `positions`: next offset per source.
    """

    def __init__(
        self,
        context: EngineContext,
        sources: list[TopicPartition],
        generation: int,
        member_id: str,
        dead_letter_limit: DeadLetterLimit,
    ) -> None:
        config = context.config
        self._context = context
        self._sources = sources
        self._numbers = frozenset(source.partition for source in sources)
        self._metadata = group_metadata(
            config.app_id, generation, member_id, config.group_instance_id
        )
        self._record_times: dict[TopicPartition, int] = {}
        self.dead_letter_limit = dead_letter_limit
        self.generation = generation
        self.positions: dict[TopicPartition, int] = {}
        self.processing = False
        self.phase = "new"
        self.phase_at = time.monotonic()
        self.progress_at = time.monotonic()
        self.restore: StateRestorer | None = None
        self._draining = asyncio.Event()
        self._aborts_in_row = 0
        settings = config.settings
        self._pacing = CommitPacing(
            settings.commit_interval_seconds or 0.0, settings.batch_records_max
        )

    def lag(self) -> dict[TopicPartition, int]:
        """Records per source that are not committed, from the client's cache (no request)."""
        if not self.processing:
            return {}
        return self._context.fetcher.lag_by_partition(self.positions)

    def blocked(self) -> dict[TopicPartition, int]:
        """Offsets per source that stand behind an open transaction, from the client's cache."""
        if not self.processing:
            return {}
        return self._context.fetcher.blocked_by_partition(self.positions)

    def total_lag(self, ask_seconds: float) -> int:
        """Records that are not committed, as the brokers report it; blocking.

        Raises `KafkaException`.
        """
        if not self.processing:
            return 0
        found = self._context.fetcher.lag_by_partition(self.positions, ask_seconds=ask_seconds)
        return sum(found.values())

    def drain(self) -> None:
        """End after the current cycle."""
        self._draining.set()

    async def run(self) -> None:
        """Until drained or cancelled; raises what must end the worker."""
        self._check_copartitioned()
        while not self._draining.is_set():
            try:
                await self._restore_and_assign()
                await self._run_cycles()
            except TransactionAborted as abort:
                await self._after_abort(abort)
            finally:
                self.processing = False

    def _check_copartitioned(self) -> None:
        """Agents of several topics may write one table: its partition has one owner.

        Raises `EngineError`.
        """
        if not self._context.tables:
            return
        for number in self._numbers:
            for topic in self._context.topics:
                if TopicPartition(topic, number) not in self._sources:
                    raise EngineError(
                        f"Partition {number} of {topic} is assigned to another worker than the "
                        f"partition {number} of this app's other topics. Start all workers of this "
                        "app with the same topics and the same number of partitions."
                    )

    def _set_phase(self, phase: str) -> None:
        self.phase, self.phase_at = phase, time.monotonic()

    async def _restore_and_assign(self) -> None:
        context = self._context
        self._set_phase("producer")
        if not context.producer.usable:
            await self._unless_drained(context.producer.open())
        await context.fetcher.discard_prefetched()
        self._set_phase("restore")
        restored = await self._restore()
        if restored is None or self._draining.is_set():
            self._draining.set()
            return
        self.positions = dict(restored.positions)
        self._record_times = dict(restored.times)
        context.fetcher.assign(self.positions)
        for table in context.tables:
            table.assign(self._numbers)
        self.progress_at = time.monotonic()
        self.processing = True

    async def _unless_drained(self, work: object) -> None:
        """Await `work`, but not beyond a drain."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload] # any awaitable
        drained = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({task, drained}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            drained.cancel()

    async def _restore(self) -> RestoreResult | None:
        context = self._context
        restore = self.restore = StateRestorer(
            context.config, context.fetcher.consumer, context.tables, self._sources
        )
        thread = BlockingCallThread("engine-restore")
        started = time.monotonic()
        restored: RestoreResult | None = None
        job = asyncio.ensure_future(thread.call(RESTORE_SECONDS_MAX, restore.run))
        stop = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({job, stop}, return_when=asyncio.FIRST_COMPLETED)
            restore.stop.set()
            done, _ = await asyncio.wait({job}, timeout=RESTORE_STOP_SECONDS)
            if done:
                restored = job.result()
            else:
                log.warning("the restore does not stop in time: its work is discarded")
        finally:
            restore.stop.set()
            stop.cancel()
            job.cancel()
            thread.abandon()
            self.restore = None
            if restored is None:
                self._discard_state()  # its thread may still write into this state
        if restored is not None:
            self._count_restore(restored, time.monotonic() - started)
        return restored

    def _discard_state(self) -> None:
        for table in self._context.tables:
            for number in self._numbers:
                table.discard(number)

    def _count_restore(self, restored: RestoreResult, seconds: float) -> None:
        stats = self._context.stats
        stats.restores += 1
        stats.restored_records += restored.record_count
        stats.restore_seconds = seconds
        log.info(
            "generation %d: %d partitions, %d changelog records restored in %.2f s",
            self.generation,
            len(self._sources),
            restored.record_count,
            seconds,
        )

    async def _run_cycles(self) -> None:
        context = self._context
        if not self._sources:
            self._set_phase("idle")
            await self._draining.wait()
        while not self._draining.is_set():
            if (pause := self._pacing.pause_seconds(time.monotonic())) > 0:
                self._set_phase("pace")
                await self._sleep(pause)
            self._set_phase("fetch")
            messages = await context.fetcher.fetch()
            if messages and not self._draining.is_set():
                await self._run_cycle(self._poll_batch(messages))

    def _poll_batch(self, messages: list[Any]) -> PollBatch:
        context = self._context
        return PollBatch(
            context.config.settings,
            context.topics,
            context.tables,
            context.dead_letters,
            messages,
            self._record_times,
            context.config.app_id,
        )

    async def _run_cycle(self, poll_batch: PollBatch) -> None:
        stats = self._context.stats
        while not poll_batch.done and not self._draining.is_set():
            self._set_phase("agent")
            started = time.monotonic()
            transaction, retry = await poll_batch.transaction()
            stats.agent_seconds += time.monotonic() - started
            stats.replays_skipped += poll_batch.replays_skipped
            poll_batch.replays_skipped = 0
            if transaction:
                await self._commit(transaction)
            if retry is not None:
                await self._wait_for_retry(retry)

    async def _commit(self, transaction: Transaction) -> None:
        limit = self.dead_letter_limit.after(transaction.outcomes)
        self._set_phase("commit")
        started = time.monotonic()
        await self._context.producer.commit(transaction, self._metadata)
        transaction.apply()
        self.dead_letter_limit = limit
        self.positions.update(transaction.offsets)
        self._record_times.update(transaction.times)
        self._aborts_in_row = 0
        self.progress_at = time.monotonic()
        self._pacing.committed(self.progress_at, transaction.record_count)
        stats = self._context.stats
        stats.commit_seconds += time.monotonic() - started
        stats.transactions += 1
        stats.records += transaction.record_count
        stats.outputs += len(transaction.outputs)
        stats.dead_letters += sum(count for good, count in transaction.outcomes if not good)

    async def _wait_for_retry(self, retry: Retry) -> None:
        self._context.stats.retries += 1
        self.progress_at = time.monotonic()  # the agent is alive and reported why it waits
        seconds = min(max(retry.seconds, 0.0), self._context.config.settings.retry_seconds_max)
        log.warning("an agent asks to retry in %.1f s: %s", seconds, retry)
        self._set_phase("retry")
        await self._sleep(seconds)

    async def _after_abort(self, abort: TransactionAborted) -> None:
        """Read state and offsets from the log after every abort: its outcome may be unknown."""
        settings = self._context.config.settings
        self._context.stats.aborts += 1
        self._context.stats.fenced += abort.fenced
        self._aborts_in_row += 1
        log.warning("transaction aborted (fenced: %s): %s", abort.fenced, abort)
        if self._aborts_in_row >= settings.consecutive_aborts_max:
            raise EngineError(
                f"{self._aborts_in_row} transactions in a row were aborted. The last one: {abort}. "
                "Restart the worker; if it happens again, check the brokers."
            ) from abort
        self._set_phase("aborted")
        for table in self._context.tables:
            table.unassign()
        await self._sleep(settings.fenced_backoff_seconds if abort.fenced else 0.05)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond a drain."""
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            return
