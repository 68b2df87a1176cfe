"""A call is busy until its result is in the table."""

import asyncio

from workers.calls_in_flight import CallsInFlight


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def done() -> None:
    """A call that has its result at once."""


async def broken() -> None:
    raise OSError("no broker")


async def test_a_call_stays_busy_until_the_table_shows_its_result() -> None:
    calls, shown = CallsInFlight("test", 2), False
    calls.start("a", "we_1", done(), lambda: shown)
    await settle()
    calls.prune()
    assert (calls.is_active("a"), calls.active_in_group("we_1"), calls.capacity) == (True, 0, 1)
    shown = True
    calls.prune()
    assert (calls.is_active("a"), calls.active_in_group("we_1"), calls.capacity) == (False, 0, 2)


async def test_a_result_that_never_shows_is_waited_for_so_long_only() -> None:
    calls = CallsInFlight("test", 2, result_seconds_max=0.01)
    calls.start("a", "we_1", done(), lambda: False)
    await settle()
    assert calls.is_active("a")
    await asyncio.sleep(0.02)
    calls.prune()
    assert not calls.is_active("a")


async def test_a_call_that_fails_is_not_repeated_at_once() -> None:
    calls = CallsInFlight("test", 2)
    calls.start("a", "we_1", broken(), lambda: True)
    await settle()
    calls.prune()
    assert calls.is_active("a")


async def test_cancel_ends_every_call() -> None:
    calls, ended = CallsInFlight("test", 2), []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    for key in ("a", "b"):
        calls.start(key, "we_1", waits(), lambda: True)
    assert calls.capacity == 0
    await settle()
    await calls.cancel()
    assert ended == [True, True]
