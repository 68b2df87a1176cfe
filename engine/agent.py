"""The agent's side of the engine: passes batches to the author's coroutine, reports the outcome."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engine.batch import Batch
from engine.errors import AgentEnded, AgentUsageError, BatchFailed, Retry, UnreadableState

log = logging.getLogger(__name__)
IDLE_FAILURES_MAX = 10


class BatchStream:
    """What an agent iterates. Requesting the next batch means that the last one is handled."""

    def __init__(self, channel: BatchChannel) -> None:
        self._channel = channel

    def __aiter__(self) -> BatchStream:
        return self

    async def __anext__(self) -> Batch:
        return await self._channel.next_batch(self)


AgentFunction = Callable[[BatchStream], Awaitable[None]]


class BatchChannel:
    """The channel of one batch topic: one batch at a time, in order.

    After an exception the author's coroutine is started again; it must keep nothing of a batch.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._stream: BatchStream | None = None
        self._agent_task: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(maxsize=1)
        self._outcome: asyncio.Future[None] | None = None
        self._processing = False  # the coroutine has the queued batch
        self._idle_failures = 0

    async def deliver(self, batch: Batch) -> None:
        """Returns when the agent handled the batch.

        Raises `BatchFailed`, `Retry`, `AgentUsageError`, `UnreadableState` or `AgentEnded`.

        Cancelling abandons the batch: the author's coroutine is cancelled and started again.
        """
        outcome = self._outcome = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(batch)
        try:
            await outcome
        except asyncio.CancelledError:
            self._restart()
            raise
        finally:
            self._outcome = None
            self._processing = False
            self._clear()

    async def next_batch(self, stream: BatchStream) -> Batch:
        """Called by the stream of the running coroutine."""
        if stream is not self._stream:
            raise StopAsyncIteration  # an abandoned coroutine that did not end yet
        if self._processing:
            self._processing = False
            self._complete(None)
        self._idle_failures = 0
        batch = await self._queue.get()
        self._processing = True
        return batch

    async def run(self, function: AgentFunction) -> None:
        """Body of the Faust agent: runs the author's coroutine forever. Raises `AgentEnded`."""
        try:
            while True:
                await self._run_once(function)
        finally:
            if self._agent_task is not None:
                self._agent_task.cancel()

    async def _run_once(self, function: AgentFunction) -> None:
        stream = self._stream = BatchStream(self)
        body = self._agent_task = asyncio.create_task(_as_coroutine(function, stream))
        await asyncio.wait({body})
        if body.cancelled():
            return
        if self._stream is not stream:
            return
        error = body.exception()
        if error is None:
            error = AgentEnded(
                f"The agent of {self.topic} returned. An agent must iterate its stream to the end: "
                "its stream never ends."
            )
            self._complete(error)
            raise error
        if self._processing:
            self._processing = False
            self._complete(error)
            return
        self._idle_failures += 1
        log.error("agent of %s failed outside of a batch", self.topic, exc_info=error)
        if self._idle_failures >= IDLE_FAILURES_MAX:
            raise error
        await asyncio.sleep(1.0)

    def _complete(self, error: BaseException | None) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None or outcome.done():
            return
        if error is None:
            outcome.set_result(None)
        elif isinstance(error, Retry | AgentEnded | AgentUsageError | UnreadableState):
            outcome.set_exception(error)
        else:
            failed = BatchFailed(f"agent of {self.topic}: {type(error).__name__}: {error}")
            failed.__cause__ = error
            outcome.set_exception(failed)

    def _restart(self) -> None:
        self._stream = None
        if self._agent_task is not None:
            self._agent_task.cancel()

    def _clear(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()


async def _as_coroutine(function: AgentFunction, stream: BatchStream) -> None:
    await function(stream)


def check_agent_function(function: Callable[..., Any]) -> None:
    """Raises TypeError for a function that cannot be the agent of a batch topic."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{function.__name__} cannot be an agent of a batch topic. Write an `async def` "
            "without `yield`; outputs go through batch.emit."
        )
