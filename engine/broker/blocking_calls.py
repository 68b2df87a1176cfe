"""Blocking client calls off the event loop, each with a limit and a way out."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from engine.errors import CallTimedOut

T = TypeVar("T")
_Job = tuple["asyncio.Future[Any]", asyncio.AbstractEventLoop, Callable[..., Any], tuple[Any, ...]]


class BlockingCallThread:
    """Runs blocking calls one after another in a daemon thread.

    A call that passes its limit, or whose caller is cancelled, cannot be stopped: the thread is
    abandoned (it ends when the call returns) and the next call gets a new one. The caller must then
    drop the client object that hangs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] | None = None

    async def call(self, limit_seconds: float, function: Callable[..., T], *args: Any) -> T:
        """Result of `function(*args)`; raises what it raises, or `CallTimedOut` after the limit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._thread_queue().put((future, loop, function, args))
        try:
            async with asyncio.timeout(limit_seconds) as limit:
                return await future
        except TimeoutError:
            if not limit.expired():
                raise
            self.abandon()
            name = getattr(function, "__name__", repr(function))
            raise CallTimedOut(f"{name} did not return within {limit_seconds:.0f} s") from None
        except asyncio.CancelledError:
            if not future.done() or future.cancelled():
                self.abandon()
            raise

    def abandon(self) -> None:
        """Let the current thread end by itself after its current call."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    def _thread_queue(self) -> queue.SimpleQueue[_Job | None]:
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            thread.start()
        return self._jobs


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        future, loop, function, args = job
        try:
            result, error = function(*args), None
        except BaseException as exc:
            result, error = None, exc
        try:
            loop.call_soon_threadsafe(_resolve_future, future, result, error)
        except RuntimeError:  # the loop is closed: the process ends
            return


def _resolve_future(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
