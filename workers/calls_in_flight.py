"""Calls to the outside that are under way: bounded in all and per group, none twice at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from runtime import log

FAILURE_PAUSE_SECONDS = 1.0


class _Settling(NamedTuple):
    group: str
    is_settled: Callable[[], bool]
    until: float


class CallsInFlight:
    """A call is busy from its start until the table shows its result.

    Between the two lies the way of the result through Kafka; without it a due entry would be called
    again in the meantime. `settle_seconds_max` bounds that wait; the result was lost then (or is a
    dead letter), and the same idempotency key makes another call harmless.
    """

    def __init__(self, name: str, in_flight_max: int, settle_seconds_max: float = 60.0) -> None:
        self._in_flight_max = in_flight_max
        self._settle_seconds_max = settle_seconds_max
        self._running: dict[str, asyncio.Task[None]] = {}
        self._settling: dict[str, _Settling] = {}
        self._groups: Counter[str] = Counter()
        self._log = log.get(name)

    @property
    def room(self) -> int:
        """How many more calls may start."""
        return self._in_flight_max - len(self._running) - len(self._settling)

    def is_busy(self, key: str) -> bool:
        """Whether a call of this key is under way."""
        return key in self._running or key in self._settling

    def of_group(self, group: str) -> int:
        """Calls of the group that are under way."""
        return self._groups[group]

    def start(
        self,
        key: str,
        group: str,
        call: Coroutine[Any, Any, None],
        is_settled: Callable[[], bool],
    ) -> None:
        """Run `call`, which returns when Kafka has its result; then wait for `is_settled`.

        If it raises, that is logged, and the key may be called again after a pause.
        """
        assert not self.is_busy(key), key
        self._groups[group] += 1
        task = asyncio.get_running_loop().create_task(call)
        self._running[key] = task
        task.add_done_callback(lambda done: self._ended(key, group, done, is_settled))

    def prune(self) -> None:
        """Let go of what has settled. Call it before each look for new work."""
        now = time.monotonic()
        done = [k for k, s in self._settling.items() if s.is_settled() or now > s.until]
        for key in done:
            self._leave_group(self._settling.pop(key).group)

    async def cancel(self) -> None:
        """End every call; what had no result will be called again by the next owner."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(
        self, key: str, group: str, task: asyncio.Task[None], is_settled: Callable[[], bool]
    ) -> None:
        del self._running[key]
        wait, settled = self._settle_seconds_max, is_settled
        if task.cancelled() or (error := task.exception()) is not None:
            if not task.cancelled():
                self._log.error("call failed without a result", key=key, error=repr(error))
            wait, settled = FAILURE_PAUSE_SECONDS, lambda: False
        self._settling[key] = _Settling(group, settled, time.monotonic() + wait)

    def _leave_group(self, group: str) -> None:
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]
