"""Ends a worker that no longer makes progress, with a diagnosis for the log."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

if TYPE_CHECKING:
    from engine.engine import Engine

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
ASK_SECONDS = 2.0
ASKED_PER_LIMIT = 3
EXIT_CODE = 1
IDLE_STEPS = frozenset({"idle", "retry", "fetch", "new"})


class Watchdog:
    """A daemon thread; looks at the event loop, the cycle in hand, the restore and the membership.

    A supervisor restarts the process; nothing is lost, since only committed transactions count.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = engine.config.settings
        self._loop_ran_at = time.monotonic()
        self._looked_at = time.monotonic()
        self._asked_at = 0.0
        self._unowned_since: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """From the event loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._loop_ran_at = time.monotonic()
        threading.Thread(target=self._watch, name="engine-watchdog", daemon=True).start()

    def stop(self) -> None:
        """No barking from here on."""
        self._stopping.set()

    def complaint(self, now: float) -> str | None:
        """What is wrong at `now` (monotonic seconds), or None."""
        silent = now - self._loop_ran_at
        if silent > self._settings.loop_stall_seconds:
            return f"the event loop did not run for {silent:.0f} s"
        ownership = self._engine.ownership
        if ownership is None:
            return self._outside_the_group(now)
        self._unowned_since = None
        restore = ownership.restore
        if restore is not None:
            stalled = now - max(restore.progress_at, ownership.step_at)
            limit = self._settings.restore_stall_seconds
            return f"restore stands still for {stalled:.0f} s" if stalled > limit else None
        stalled = now - ownership.step_at
        if ownership.step in IDLE_STEPS:
            return self._idle_under_lag(ownership, now)
        limit = self._settings.progress_stall_seconds
        return f"step {ownership.step!r} lasts {stalled:.0f} s" if stalled > limit else None

    def _outside_the_group(self, now: float) -> str | None:
        """Joining has no limit of its own: it waits for brokers, as a restore does."""
        if self._unowned_since is None:
            self._unowned_since = now
        waited = now - self._unowned_since
        if waited > self._settings.restore_stall_seconds:
            return f"the group assigned nothing to this worker for {waited:.0f} s"
        return None

    def _idle_under_lag(self, ownership: Any, now: float) -> str | None:
        """Records wait, and none of them comes: a client that no longer fetches.

        The brokers are asked: such a client does not know of them. Nobody there is no stall.
        """
        limit = self._settings.progress_stall_seconds
        if now - self._asked_at < limit / ASKED_PER_LIMIT:
            return None
        self._asked_at = now
        try:
            lag = ownership.lag(ASK_SECONDS)
        except KafkaException:
            lag = 0
        if lag == 0:
            ownership.progress_at = now
        stalled = now - ownership.progress_at
        if stalled > limit:
            return f"no commit for {stalled:.0f} s with {lag} records waiting"
        return None

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look(time.monotonic())
            except Exception:  # a client that is being closed; the next look counts
                log.exception("watchdog")

    def _look(self, now: float) -> None:
        if now - self._looked_at > 5 * LOOK_SECONDS:
            self._start_afresh(now)
        self._looked_at = now
        self._nudge()
        problem = self.complaint(now)
        if problem is not None and not self._stopping.is_set():
            self._bark(problem)

    def _start_afresh(self, now: float) -> None:
        """The whole process was stopped (SIGSTOP, suspend): that is nobody's stall."""
        self._loop_ran_at = now
        self._unowned_since = None
        ownership = self._engine.ownership
        if ownership is None:
            return
        ownership.step_at = ownership.progress_at = now
        if ownership.restore is not None:
            ownership.restore.progress_at = now

    def _nudge(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop_runs)

    def _loop_runs(self) -> None:
        self._loop_ran_at = time.monotonic()

    def _bark(self, problem: str) -> None:
        ownership = self._engine.ownership
        log.critical(
            "watchdog: %s; generation %s, positions %s, stats %s; stacks follow, the process ends",
            problem,
            ownership.generation if ownership else None,
            ownership.positions if ownership else {},
            self._engine.stats.as_dict(),
        )
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        sys.stderr.flush()
        os._exit(EXIT_CODE)
