"""Starts a process table, keeps it running, stops it in order.

Everything that starts a process happens in the caller's thread, which must be the main thread of a
program that stays: its children die with it. Ready checks and preparations run in a small pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from devstack.services.child import Child, describe_exit, log_tail
from devstack.supervisor import logs
from devstack.supervisor.process_spec import Entry, InitTask, Process, Stage, check
from devstack.supervisor.reaper import Reaper
from devstack.supervisor.restart import CrashCount, RestartPolicy
from devstack.supervisor.shutdown import StopClock, stop_stage

TICK_SECONDS = 0.05
CHECKS_AT_ONCE = 8
LOG_CHECK_SECONDS = 5.0
# CrashCount before a child was ready once: then the start has failed, and says why.
FIRST_START_CRASHES_MAX = 3

Announce = Callable[[str], None]


class StartFailedError(RuntimeError):
    """Something did not get ready; the message names it and its log."""


class GaveUpError(RuntimeError):
    """A child died too often in a row."""


@dataclass
class _State:
    """What the supervisor knows of one entry."""

    child: Child | None = None
    probe: Future[object] | None = None
    ready: bool = False
    was_ready: bool = False
    crashes: CrashCount = field(default_factory=CrashCount)
    not_before: float = 0.0


class Supervisor:
    """One run of a table. `start`, then `watch`, and always `stop`."""

    def __init__(
        self,
        table: Sequence[Entry],
        announce: Announce,
        policy: RestartPolicy | None = None,
        changed: Callable[[Mapping[str, int]], None] = lambda pids: None,
    ) -> None:
        check(table)
        self._table = tuple(table)
        self._states = {entry.name: _State() for entry in table}
        self._announce = announce
        self._policy = policy or RestartPolicy()
        self._changed = changed
        self._reaper = Reaper()
        self._pool = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="ready-check")
        self._logs_due = time.monotonic() + LOG_CHECK_SECONDS

    def start(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Until everything is ready (true) or `stopped()` (false).

        Raises `StartFailedError`; `stop` is the caller's in every case.
        """
        while not stopped():
            self._tick()
            if all(state.ready for state in self._states.values()):
                return True
            time.sleep(TICK_SECONDS)
        return False

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Restart what dies, until `stopped()`; raises `GaveUpError`."""
        while not stopped():
            self._tick()
            time.sleep(TICK_SECONDS)

    def stop(self, clock: StopClock | None = None) -> None:
        """Stop stage after stage; nothing of the table runs when this returns."""
        clock = clock or StopClock()
        for stage in Stage:
            children = [c for c in self._running(stage)]
            for child in stop_stage(children, clock.stage_deadline(stage)):
                self._announce(f"{child.launch.name} did not stop in time and was killed")
            for child in children:
                self._reaper.remove(child.pid)
        self._reaper.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _running(self, stage: Stage) -> list[Child]:
        processes = (e for e in self._table if isinstance(e, Process) and e.stage == stage)
        states = (self._states[process.name] for process in processes)
        return [state.child for state in states if state.child is not None]

    def _tick(self) -> None:
        for entry in self._table:
            state = self._states[entry.name]
            if isinstance(entry, InitTask):
                self._advance_task(entry, state)
            else:
                self._advance_process(entry, state)
        if time.monotonic() >= self._logs_due:
            self._logs_due = time.monotonic() + LOG_CHECK_SECONDS
            for entry in self._table:
                if isinstance(entry, Process):
                    logs.bound(entry.launch.log_path)

    def _may_start(self, entry: Entry) -> bool:
        return all(self._states[need].was_ready for need in entry.needs)

    def _advance_task(self, entry: InitTask, state: _State) -> None:
        if state.ready or not (state.probe or self._may_start(entry)):
            return
        if state.probe is None:
            state.probe = self._pool.submit(entry.work)
        elif state.probe.done():
            error = state.probe.exception()
            if error is not None:
                raise StartFailedError(f"The task {entry.name} failed: {error}") from error
            self._is_ready(entry, state)

    def _advance_process(self, entry: Process, state: _State) -> None:
        child = state.child
        if child is None:
            if self._may_start(entry) and time.monotonic() >= state.not_before:
                self._spawn(entry, state)
        elif (code := child.exit_code()) is not None:
            self._on_exit(entry, state, child, code)
        elif not state.ready:
            self._probe(entry, state, child)

    def _spawn(self, entry: Process, state: _State) -> None:
        state.child = Child(entry.launch)
        state.probe = None
        self._reaper.add(state.child.pid)
        self._changed({n: s.child.pid for n, s in self._states.items() if s.child is not None})

    def _probe(self, entry: Process, state: _State, child: Child) -> None:
        if state.probe is None:
            state.probe = self._pool.submit(entry.launch.ready)
        elif state.probe.done():
            well = state.probe.exception() is None and bool(state.probe.result())
            state.probe = None
            if well:
                self._is_ready(entry, state)
            elif time.monotonic() - child.started_at > entry.launch.ready_timeout_seconds:
                self._too_slow(entry, state, child)

    def _too_slow(self, entry: Process, state: _State, child: Child) -> None:
        limit = f"{entry.name} was not ready after {entry.launch.ready_timeout_seconds:.0f} s"
        if not state.was_ready:
            raise StartFailedError(f"{limit}. {_evidence(entry)}")
        self._announce(f"{limit} and is started again")
        child.kill_group()

    def _is_ready(self, entry: Entry, state: _State) -> None:
        again = " again" if state.was_ready else ""
        state.ready = state.was_ready = True
        self._announce(f"{entry.name} is ready{again}")

    def _on_exit(self, entry: Process, state: _State, child: Child, code: int) -> None:
        child.kill_group()
        self._reaper.remove(child.pid)
        state.child, state.ready = None, False
        state.crashes = state.crashes.after(self._policy, time.monotonic() - child.started_at)
        end = describe_exit(code)
        if not state.was_ready and state.crashes.in_a_row >= FIRST_START_CRASHES_MAX:
            raise StartFailedError(f"{entry.name} {end}. {_evidence(entry)}")
        delay_seconds = state.crashes.delay_seconds(self._policy)
        if delay_seconds is None:
            raise GaveUpError(
                f"{entry.name} died {state.crashes.in_a_row} times in a row. {_evidence(entry)}"
            )
        state.not_before = time.monotonic() + delay_seconds
        self._announce(f"{entry.name} {end}; it is started again in {delay_seconds:.2g} s")


def _evidence(entry: Process) -> str:
    path = entry.launch.log_path
    return f"Its log {path} ends with:\n{log_tail(path)}"
