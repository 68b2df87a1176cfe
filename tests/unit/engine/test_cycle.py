"""Delivery to an agent, isolation of poison and retries, without a broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes import FakeMessage, FakeTable

from engine.agent import BatchFeed, check_agent_function
from engine.cycle import Cycle
from engine.errors import AgentEnded, BatchFailed, Retry
from engine.poison import DeadLetters
from engine.settings import EngineSettings

Agent = Callable[[Any], Awaitable[None]]


class FakeTopic:
    def __init__(self) -> None:
        self.feed = BatchFeed("in")

    @staticmethod
    def decode(value: bytes) -> Any:
        return json.loads(value)


class Bench:
    """A cycle over one topic with one agent; `state` is the table that the agent writes."""

    def __init__(self, *, dead_letters: bool = True) -> None:
        self.topic = FakeTopic()
        self.table = FakeTable()
        self.seen: list[list[int]] = []
        self.dead_letters = (
            DeadLetters("dead", lambda record, reason, detail, app: reason.encode(), "app")
            if dead_letters
            else None
        )
        self._agent: asyncio.Task[None] | None = None

    def run_agent(self, function: Agent) -> None:
        self._agent = asyncio.create_task(self.topic.feed.run(function))

    def cycle(self, *values: Any, partition: int = 0) -> Cycle:
        messages = [
            FakeMessage(offset, value if isinstance(value, bytes) else json.dumps(value).encode())
            for offset, value in enumerate(values)
        ]
        settings, topics = EngineSettings(), {"in": self.topic}
        return Cycle(settings, topics, [self.table], self.dead_letters, messages)

    async def summing(self, stream: Any) -> None:
        async for batch in stream:
            self.seen.append([record.offset for record in batch])
            state = self.table.partition_state(batch.partition)
            view = batch.scope.view(self.table)
            assert state is not None
            for record in batch:
                view["sum"] = view.get("sum", 0) + record.value
                batch.emit("out", key=record.key, value=b"%d" % record.value)

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.cancel()


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    yield made
    made.stop()


async def test_a_good_cycle_is_one_transaction(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    transaction, retry = await bench.cycle(1, 2, 3).transaction()
    assert retry is None
    assert transaction.offsets == {("in", 0): 3}
    assert transaction.writes[bench.table, 0] == {"sum": b"6"}
    assert [output.value for output in transaction.outputs] == [b"1", b"2", b"3"]
    assert transaction.outcomes == [(True, 3)]


async def test_poison_is_found_one_by_one_and_the_rest_survives(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    transaction, _ = await bench.cycle(1, "poison", 3).transaction()
    assert bench.seen == [[0, 1, 2], [0], [1], [2]]
    assert transaction.writes[bench.table, 0] == {"sum": b"4"}
    assert [(o.topic, o.value) for o in transaction.outputs] == [
        ("out", b"1"),
        ("dead", b"handler_failed"),
        ("out", b"3"),
    ]
    assert transaction.offsets == {("in", 0): 3}
    assert transaction.outcomes == [(True, 1), (False, 1), (True, 1)]


async def test_an_undecodable_record_does_not_reach_the_agent(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    transaction, _ = await bench.cycle(1, b"{", 3).transaction()
    assert bench.seen == [[0, 2]]
    assert transaction.outputs[-1].value == b"undecodable"
    assert transaction.offsets == {("in", 0): 3}
    alone, _ = await bench.cycle(b"{").transaction()
    assert alone.offsets == {("in", 0): 1}


async def test_without_dead_letters_a_failure_is_raised() -> None:
    bench = Bench(dead_letters=False)
    bench.run_agent(bench.summing)
    with pytest.raises(BatchFailed, match=r"in\[0\]@1 cannot be processed"):
        await bench.cycle(1, "poison").transaction()
    with pytest.raises(BatchFailed, match="cannot be decoded"):
        await bench.cycle(1, b"{").transaction()
    bench.stop()


async def test_a_value_that_cannot_be_encoded_is_poison(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            view = batch.scope.view(bench.table)
            for record in batch:
                view[f"k{record.offset}"] = object() if record.value == 0 else record.value

    bench.run_agent(agent)
    transaction, _ = await bench.cycle(1, 0, 2).transaction()
    assert transaction.writes[bench.table, 0] == {"k0": b"1", "k2": b"2"}


async def test_retry_keeps_what_was_handled_and_delivers_the_rest_again(bench: Bench) -> None:
    down = [True]

    async def agent(stream: Any) -> None:
        async for batch in stream:
            bench.seen.append([record.offset for record in batch])
            if down[0] and batch.records[0].value == 2:
                raise Retry(1.5, "down")
            batch.emit("out", value=b"x")

    bench.run_agent(agent)
    cycle = bench.cycle(1, 2)
    cycle._pending = type(cycle._pending)(  # as two deliveries
        type(cycle._pending[0])(("in", 0), [message]) for message in cycle._pending[0].messages
    )
    transaction, retry = await cycle.transaction()
    assert retry is not None
    assert retry.seconds == 1.5
    assert (transaction.offsets, cycle.done) == ({("in", 0): 1}, False)
    down[0] = False
    transaction, retry = await cycle.transaction()
    assert (retry, transaction.offsets, cycle.done) == (None, {("in", 0): 2}, True)
    assert bench.seen == [[0], [1], [1]]


async def test_an_abandoned_batch_frees_the_agent_for_the_next(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            if batch.records[0].value == "hang":
                await asyncio.sleep(3600)
            batch.emit("out", value=b"x")

    bench.run_agent(agent)
    hanging = asyncio.create_task(bench.cycle("hang").transaction())
    await asyncio.sleep(0.02)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    transaction, _ = await asyncio.wait_for(bench.cycle(1).transaction(), 5)
    assert len(transaction.outputs) == 1


async def test_an_agent_that_returns_ends_the_worker(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for _ in stream:
            return

    bench.run_agent(agent)
    with pytest.raises(AgentEnded, match="iterate its stream"):
        await bench.cycle(1).transaction()


def test_an_agent_must_be_a_coroutine_without_yield() -> None:
    async def generator(stream: Any) -> Any:
        yield 1

    with pytest.raises(TypeError, match=r"batch\.emit"):
        check_agent_function(generator)


async def test_record_time_travels_from_cycle_to_cycle(bench: Bench) -> None:
    """Also past a poison record, and when the agent does not look at every record."""
    bench.table.expires_ms = lambda value: 1001

    async def agent(stream: Any) -> None:
        async for batch in stream:
            view = batch.scope.view(bench.table)
            bench.seen.append(["a" in view])
            view["a"] = 1

    bench.run_agent(agent)
    first, _ = await bench.cycle(1, 2, 3).transaction()
    assert first.times == {("in", 0): 1002}
    first.apply()
    cycle = bench.cycle(1)
    cycle._times = first.times
    second, _ = await cycle.transaction()
    assert second.times == {("in", 0): 1002}, "an older record does not turn time back"
    assert bench.seen == [[False], [False]], "it expired at 1001, before the second cycle"
