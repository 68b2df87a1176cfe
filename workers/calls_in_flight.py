"""Scheduled calls to the outside: bounded in all and per group, none twice at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from runtime import log

FAILURE_PAUSE_SECONDS = 1.0


class _AwaitedResult(NamedTuple):
    is_applied: Callable[[], bool]
    until: float


class CallsInFlight:
    """A call is active from its start until the table shows its result.

    The result goes through Kafka, and until it is in the table its entry is still due. So the call
    stays active, or it would be repeated. Its place in its group is free when it has ended.
    `result_seconds_max` bounds the wait: after it the result was lost (or is a dead letter), and
    the idempotency key makes another call harmless.
    """

    def __init__(self, name: str, in_flight_max: int, result_seconds_max: float = 60.0) -> None:
        self._in_flight_max = in_flight_max
        self._result_seconds_max = result_seconds_max
        self._running: dict[str, asyncio.Task[None]] = {}
        self._awaiting_result: dict[str, _AwaitedResult] = {}
        self._groups: Counter[str] = Counter()
        self._log = log.get(name)

    @property
    def capacity(self) -> int:
        """How many more calls may start."""
        return self._in_flight_max - len(self._running) - len(self._awaiting_result)

    def is_active(self, key: str) -> bool:
        """Whether a call of this key is active."""
        return key in self._running or key in self._awaiting_result

    def active_in_group(self, group: str) -> int:
        """Calls of the group that run: one that waits for its result alone has left it."""
        return self._groups[group]

    def start(
        self,
        key: str,
        group: str,
        call: Coroutine[Any, Any, None],
        is_applied: Callable[[], bool],
    ) -> None:
        """Run `call`, which returns when Kafka has its result; then wait for `is_applied`.

        An exception is logged, and the key may be called again after a pause.
        """
        assert not self.is_active(key), key
        self._groups[group] += 1
        task = asyncio.get_running_loop().create_task(call)
        self._running[key] = task
        task.add_done_callback(lambda done: self._ended(key, group, done, is_applied))

    def prune(self) -> None:
        """Remove calls whose result is in the table. Call it before each search for due entries."""
        now = time.monotonic()
        done = [k for k, s in self._awaiting_result.items() if s.is_applied() or now > s.until]
        for key in done:
            del self._awaiting_result[key]

    async def cancel(self) -> None:
        """Cancel every call; the next owner of the partition repeats those without a result."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(
        self, key: str, group: str, task: asyncio.Task[None], is_applied: Callable[[], bool]
    ) -> None:
        del self._running[key]
        self._leave_group(group)
        wait, applied = self._result_seconds_max, is_applied
        if task.cancelled() or (error := task.exception()) is not None:
            if not task.cancelled():
                self._log.error("call_failed", key=key, error=repr(error))
            wait, applied = FAILURE_PAUSE_SECONDS, lambda: False
        self._awaiting_result[key] = _AwaitedResult(applied, time.monotonic() + wait)

    def _leave_group(self, group: str) -> None:
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]
