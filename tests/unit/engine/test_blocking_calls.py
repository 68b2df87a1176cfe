from __future__ import annotations

import asyncio
import threading

import pytest

from engine.broker.blocking_calls import BlockingCallThread
from engine.errors import CallTimedOut


async def test_results_errors_and_one_thread() -> None:
    thread = BlockingCallThread("t")
    assert await thread.call(5, max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await thread.call(5, lambda: 1 // 0)
    with pytest.raises(TimeoutError, match="its own"):
        await thread.call(5, _raise_timeout)
    first = await thread.call(5, threading.get_ident)
    assert await thread.call(5, threading.get_ident) == first
    thread.abandon()


async def test_a_hanging_call_is_abandoned_and_the_next_one_runs() -> None:
    thread, release = BlockingCallThread("t"), threading.Event()
    with pytest.raises(CallTimedOut, match="wait did not return"):
        await thread.call(0.05, release.wait)
    assert await thread.call(5, max, 3, 4) == 4
    release.set()
    thread.abandon()


async def test_cancelling_frees_the_caller_at_once() -> None:
    thread, release = BlockingCallThread("t"), threading.Event()
    task = asyncio.create_task(thread.call(60, release.wait))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    assert await thread.call(5, max, 5, 6) == 6
    release.set()
    thread.abandon()


def _raise_timeout() -> None:
    raise TimeoutError("its own")
