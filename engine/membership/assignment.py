"""One worker's time as owner of its partitions: from an assignment to the next revocation."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from engine.broker.blocking_calls import BlockingCallThread
from engine.consumers.poll_batch import PollBatch
from engine.errors import EngineError, Retry, TransactionAborted
from engine.membership.library_internals import group_metadata
from engine.state.restore import RestoreResult, StateRestorer
from engine.transactions.transaction import SourcePartition, Transaction

if TYPE_CHECKING:
    from engine.engine import Engine

log = logging.getLogger(__name__)
RESTORE_SECONDS_MAX = 24 * 3600.0  # the watchdog looks at its progress
RESTORE_STOP_SECONDS = 1.0


class Assignment:
    """Take over from the log, then cycles until drained; after an abort take over again.

    Every commit carries the generation and member id of this assignment, never of a later one.
    """

    def __init__(
        self, engine: Engine, sources: list[SourcePartition], generation: int, member_id: str
    ) -> None:
        self._engine = engine
        self._sources = sources
        self._numbers = frozenset(number for _, number in sources)
        self._metadata = group_metadata(
            engine.config.app_id, generation, member_id, engine.group_instance_id
        )
        self.generation = generation
        self.positions: dict[SourcePartition, int] = {}
        self.flowing = False
        self.step = "new"
        self.step_at = time.monotonic()
        self.progress_at = time.monotonic()
        self.restore: StateRestorer | None = None
        self._draining = asyncio.Event()
        self._aborts_in_row = 0

    def lag(self, ask_seconds: float) -> int:
        """Offsets with records that are not committed, asked of the brokers; blocking.

        Raises `KafkaException`.
        """
        if not self.flowing:
            return 0
        found = self._engine.fetcher.lag_by_partition(self.positions, ask_seconds=ask_seconds)
        return sum(found.values())

    def drain(self) -> None:
        """End after the cycle in hand."""
        self._draining.set()

    async def run(self) -> None:
        """Until drained or cancelled; raises what a supervisor has to know."""
        while not self._draining.is_set():
            try:
                await self._restore_and_assign()
                await self._flow()
            except TransactionAborted as abort:
                await self._after_abort(abort)
            finally:
                self.flowing = False

    def _enter(self, step: str) -> None:
        self.step, self.step_at = step, time.monotonic()

    async def _restore_and_assign(self) -> None:
        engine = self._engine
        self._enter("producer")
        if not engine.producer.usable:
            await self._unless_drained(engine.producer.open())
        await engine.fetcher.settle()
        self._enter("restore")
        restored = await self._restore()
        if restored is None or self._draining.is_set():
            self._draining.set()
            return
        self.positions = dict(restored.positions)
        engine.record_times = dict(restored.times)
        engine.fetcher.assign(self.positions)
        for table in engine.tables:
            table.own(self._numbers)
        self.progress_at = time.monotonic()
        self.flowing = True

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
        engine = self._engine
        restore = self.restore = StateRestorer(
            engine.config, engine.fetcher.consumer, engine.tables, self._sources
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
                log.warning("restore does not stop in time: its work is dropped")
        finally:
            restore.stop.set()
            stop.cancel()
            job.cancel()
            thread.abandon()
            self.restore = None
            if restored is None:
                self._forget()  # its thread may still write into what it was filling
        if restored is not None:
            self._note_restored(restored, time.monotonic() - started)
        return restored

    def _forget(self) -> None:
        for table in self._engine.tables:
            for number in self._numbers:
                table.forget(number)

    def _note_restored(self, restored: RestoreResult, seconds: float) -> None:
        stats = self._engine.stats
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

    async def _flow(self) -> None:
        engine = self._engine
        if not self._sources:
            self._enter("idle")
            await self._draining.wait()
        while not self._draining.is_set():
            self._enter("fetch")
            messages = await engine.fetcher.fetch()
            if messages and not self._draining.is_set():
                await self._cycle(engine.new_cycle(messages))

    async def _cycle(self, cycle: PollBatch) -> None:
        stats = self._engine.stats
        while not cycle.done and not self._draining.is_set():
            self._enter("agent")
            started = time.monotonic()
            transaction, retry = await cycle.transaction()
            stats.agent_seconds += time.monotonic() - started
            if transaction:
                await self._commit(transaction)
            if retry is not None:
                await self._wait_for_retry(retry)

    async def _commit(self, transaction: Transaction) -> None:
        engine = self._engine
        fuse = engine.fuse.after(transaction.outcomes)
        self._enter("commit")
        started = time.monotonic()
        await engine.producer.commit(transaction, self._metadata)
        transaction.apply()
        engine.fuse = fuse
        self.positions.update(transaction.offsets)
        engine.record_times.update(transaction.times)
        self._aborts_in_row = 0
        self.progress_at = time.monotonic()
        stats = engine.stats
        stats.commit_seconds += time.monotonic() - started
        stats.transactions += 1
        stats.records += transaction.record_count
        stats.outputs += len(transaction.outputs)
        stats.dead_letters += sum(count for good, count in transaction.outcomes if not good)

    async def _wait_for_retry(self, retry: Retry) -> None:
        self._engine.stats.retries += 1
        self.progress_at = time.monotonic()  # the agent is alive and said why it waits
        seconds = min(max(retry.seconds, 0.0), self._engine.config.settings.retry_seconds_max)
        log.warning("an agent asks to retry in %.1f s: %s", seconds, retry)
        self._enter("retry")
        await self._sleep(seconds)

    async def _after_abort(self, abort: TransactionAborted) -> None:
        """State and offsets come from the log after every abort: its outcome may be unknown."""
        settings = self._engine.config.settings
        self._engine.stats.aborts += 1
        self._engine.stats.fenced += abort.fenced
        self._aborts_in_row += 1
        log.warning("transaction aborted (fenced: %s): %s", abort.fenced, abort)
        if self._aborts_in_row >= settings.consecutive_aborts_max:
            raise EngineError(
                f"{self._aborts_in_row} transactions in a row were aborted; the last one: {abort}"
            ) from abort
        self._enter("aborted")
        for table in self._engine.tables:
            table.disown()
        await self._sleep(settings.fenced_backoff_seconds if abort.fenced else 0.05)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond a drain."""
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            return
