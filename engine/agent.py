"""The agent's end of the engine: hands batches to the author's coroutine and learns how it went."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engine.batch import Batch
from engine.errors import AgentEnded, AgentUsageError, BatchFailed, Retry

AgentFunction = Callable[[Any], Awaitable[None]]
log = logging.getLogger(__name__)
IDLE_FAILURES_MAX = 10


class BatchStream:
    """What the author iterates. Asking for the next batch says that the last one is handled."""

    def __init__(self, feed: BatchChannel) -> None:
        self._feed = feed

    def __aiter__(self) -> BatchStream:
        return self

    async def __anext__(self) -> Batch:
        return await self._feed.next_batch(self)


class BatchChannel:
    """One batch topic's hand-over. One batch at a time, in order.

    The author's coroutine is started anew after an exception; it must keep nothing of a batch.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._stream: BatchStream | None = None
        self._body: asyncio.Task[None] | None = None
        self._offered: asyncio.Queue[Batch] = asyncio.Queue(maxsize=1)
        self._outcome: asyncio.Future[None] | None = None
        self._taken = False  # the coroutine has the offered batch in hand
        self._idle_failures = 0

    async def deliver(self, batch: Batch) -> None:
        """Returns when the agent handled the batch.

        Raises `BatchFailed`, `Retry`, `AgentUsageError` or `AgentEnded`.

        Cancelling abandons the batch: the author's coroutine is cancelled and started anew.
        """
        outcome = self._outcome = asyncio.get_running_loop().create_future()
        self._offered.put_nowait(batch)
        try:
            await outcome
        except asyncio.CancelledError:
            self._restart()
            raise
        finally:
            self._outcome = None
            self._taken = False
            self._withdraw()

    async def next_batch(self, stream: BatchStream) -> Batch:
        """Called by the stream of the running coroutine."""
        if stream is not self._stream:
            raise StopAsyncIteration  # an abandoned coroutine that did not end yet
        if self._taken:
            self._taken = False
            self._settle(None)
        self._idle_failures = 0
        batch = await self._offered.get()
        self._taken = True
        return batch

    async def run(self, function: AgentFunction) -> None:
        """Body of the Faust agent: runs the author's coroutine for ever. Raises `AgentEnded`."""
        try:
            while True:
                await self._run_once(function)
        finally:
            if self._body is not None:
                self._body.cancel()

    async def _run_once(self, function: AgentFunction) -> None:
        stream = self._stream = BatchStream(self)
        body = self._body = asyncio.create_task(_as_coroutine(function, stream))
        await asyncio.wait({body})
        if body.cancelled():
            return
        if self._stream is not stream:
            return
        error = body.exception()
        if error is None:
            error = AgentEnded(
                f"the agent of {self.topic} returned: it must iterate its stream to the end"
            )
            self._settle(error)
            raise error
        if self._taken:
            self._taken = False
            self._settle(error)
            return
        self._idle_failures += 1
        log.error("agent of %s failed outside of a batch", self.topic, exc_info=error)
        if self._idle_failures >= IDLE_FAILURES_MAX:
            raise error
        await asyncio.sleep(1.0)

    def _settle(self, error: BaseException | None) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None or outcome.done():
            return
        if error is None:
            outcome.set_result(None)
        elif isinstance(error, Retry | AgentEnded | AgentUsageError):
            outcome.set_exception(error)
        else:
            failed = BatchFailed(f"agent of {self.topic}: {type(error).__name__}: {error}")
            failed.__cause__ = error
            outcome.set_exception(failed)

    def _restart(self) -> None:
        self._stream = None
        if self._body is not None:
            self._body.cancel()

    def _withdraw(self) -> None:
        while not self._offered.empty():
            self._offered.get_nowait()


async def _as_coroutine(function: AgentFunction, stream: BatchStream) -> None:
    await function(stream)


def check_agent_function(function: Callable[..., Any]) -> None:
    """Raises TypeError for a function that cannot be the agent of a batch topic."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{function.__name__}: an agent of a batch topic is an `async def` without `yield`; "
            "outputs go through batch.emit"
        )
