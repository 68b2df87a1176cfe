"""Ends a worker that no longer makes progress, with a diagnosis for the log."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time

from confluent_kafka import KafkaException

from engine.engine import Engine
from engine.membership.assignment import Assignment

log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
ASK_SECONDS = 2.0
ASKED_PER_LIMIT = 3
EXIT_CODE = 1
IDLE_PHASES = frozenset({"idle", "retry", "fetch", "new"})


class Watchdog:
    """A daemon thread that checks the event loop, the current cycle, restore and membership.

    A supervisor restarts the process; nothing is lost, since only committed transactions count.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = engine.context.config.settings
        self._loop_ran_at = time.monotonic()
        self._checked_at = time.monotonic()
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
        """It ends no process from here on."""
        self._stopping.set()

    def find_stall(self, now: float) -> str | None:
        """Description of a stall at `now` (monotonic seconds), or None."""
        silent = now - self._loop_ran_at
        if silent > self._settings.loop_stall_seconds:
            return f"the event loop did not run for {silent:.0f} s"
        assignment = self._engine.assignment
        if assignment is None:
            return self._outside_the_group(now)
        self._unowned_since = None
        restore = assignment.restore
        if restore is not None:
            stalled = now - max(restore.progress_at, assignment.phase_at)
            limit = self._settings.restore_stall_seconds
            return f"restore stands still for {stalled:.0f} s" if stalled > limit else None
        stalled = now - assignment.phase_at
        if assignment.phase in IDLE_PHASES:
            return self._idle_under_lag(assignment, now)
        limit = self._settings.progress_stall_seconds
        return f"phase {assignment.phase!r} lasts {stalled:.0f} s" if stalled > limit else None

    def _outside_the_group(self, now: float) -> str | None:
        """Joining has no limit of its own: it waits for brokers, as a restore does."""
        if self._unowned_since is None:
            self._unowned_since = now
        waited = now - self._unowned_since
        if waited > self._settings.restore_stall_seconds:
            return f"the group assigned nothing to this worker for {waited:.0f} s"
        return None

    def _idle_under_lag(self, assignment: Assignment, now: float) -> str | None:
        """Records wait and none arrives: a client that no longer fetches.

        The brokers are asked, because such a client does not know of the records. No answer is no
        stall.
        """
        limit = self._settings.progress_stall_seconds
        if now - self._asked_at < limit / ASKED_PER_LIMIT:
            return None
        self._asked_at = now
        try:
            lag = assignment.total_lag(ASK_SECONDS)
        except (KafkaException, RuntimeError):  # no answer, or a client that is being closed
            lag = 0
        if lag == 0:
            assignment.progress_at = now
        stalled = now - assignment.progress_at
        if stalled > limit:
            return f"no commit for {stalled:.0f} s with {lag} records waiting"
        return None

    def _watch(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                self._check(time.monotonic())
            except Exception:  # the next check counts
                log.exception("watchdog")

    def _check(self, now: float) -> None:
        if now - self._checked_at > 5 * CHECK_SECONDS:
            self._reset_timers(now)
        self._checked_at = now
        self._ping_loop()
        problem = self.find_stall(now)
        if problem is not None and not self._stopping.is_set():
            self._terminate(problem)

    def _reset_timers(self, now: float) -> None:
        """The whole process was stopped (SIGSTOP, suspend): that is no stall."""
        self._loop_ran_at = now
        self._unowned_since = None
        assignment = self._engine.assignment
        if assignment is None:
            return
        assignment.phase_at = assignment.progress_at = now
        if assignment.restore is not None:
            assignment.restore.progress_at = now

    def _ping_loop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop_runs)

    def _loop_runs(self) -> None:
        self._loop_ran_at = time.monotonic()

    def _terminate(self, problem: str) -> None:
        assignment = self._engine.assignment
        log.critical(
            "watchdog: %s; generation %s, positions %s, stats %s; stacks follow, the process ends",
            problem,
            assignment.generation if assignment else None,
            assignment.positions if assignment else {},
            self._engine.context.stats.as_dict(),
        )
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        sys.stderr.flush()
        os._exit(EXIT_CODE)
