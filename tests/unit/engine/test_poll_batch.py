"""BatchSlice to an agent, isolation of failing records, and retries, without a broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import pytest
from fakes import FakeMessage, FakeTable

from engine.agent import BatchChannel, check_agent_function
from engine.consumers.batch_slice import batch_slices
from engine.consumers.dead_letters import DeadLetters, RawRecord
from engine.consumers.poll_batch import PollBatch
from engine.consumers.replays import Replay
from engine.errors import AgentEnded, AgentUsageError, BatchFailed, Retry, UnreadableState
from engine.settings import EngineSettings

Agent = Callable[[Any], Awaitable[None]]


class NewerRelease(Exception):
    pass


class FakeTopic:
    def __init__(self, name: str = "in") -> None:
        self.name = name
        self.channel = BatchChannel(name)
        self.merge_partitions = False
        self.decode_errors = ()
        self.wait_errors = (NewerRelease,)
        self.decode_replay: Any = None

    @staticmethod
    def decode(value: bytes) -> Any:
        if value == b"newer":
            raise NewerRelease("id 99")
        return json.loads(value)


class Bench:
    """A cycle over one topic with one agent; `state` is the table that the agent writes."""

    def __init__(self, *, dead_letters: bool = True) -> None:
        self.topic = FakeTopic()
        self.table = FakeTable()
        self.seen: list[list[int]] = []
        self.dead_letters = (
            DeadLetters("dead", lambda record, reason, detail, app: reason.encode(), "app", 950_000)
            if dead_letters
            else None
        )
        self._agent: asyncio.Task[None] | None = None

    def run_agent(self, function: Agent) -> None:
        self._agent = asyncio.create_task(self.topic.channel.run(function))

    def cycle(self, *values: Any, partition: int = 0) -> PollBatch:
        messages = [
            FakeMessage(offset, value if isinstance(value, bytes) else json.dumps(value).encode())
            for offset, value in enumerate(values)
        ]
        settings, topics = EngineSettings(), {"in": self.topic}
        return PollBatch(settings, topics, [self.table], self.dead_letters, messages)

    async def summing(self, stream: Any) -> None:
        async for batch in stream:
            self.seen.append([record.offset for record in batch])
            view = batch.view(self.table.partition_state(batch.partition))
            for record in batch:
                view["sum"] = view.get("sum", 0) + record.value
                batch.emit("out", key=record.key, value=b"%d" % record.value)

    def merge_partitions(self, values: list[tuple[int, Any]]) -> PollBatch:
        """(partition, value) in the order of the poll; offsets count per topic, as good as any."""
        self.topic.merge_partitions = True
        messages = [
            FakeMessage(offset, json.dumps(value).encode(), partition=partition)
            for offset, (partition, value) in enumerate(values)
        ]
        topics = {"in": self.topic}
        return PollBatch(EngineSettings(), topics, [self.table], self.dead_letters, messages)

    async def forwarding(self, stream: Any) -> None:
        async for batch in stream:
            self.seen.append([record.offset for record in batch])
            for record in batch:
                batch.emit("out", value=b"%d" % record.value)

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
    assert transaction.writes[bench.table.partition_state(0)] == {"sum": b"6"}
    assert [output.value for output in transaction.outputs] == [b"1", b"2", b"3"]
    assert transaction.outcomes == [(True, 3)]


async def test_failing_records_are_found_one_by_one_and_the_rest_survives(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    transaction, _ = await bench.cycle(1, "poison", 3).transaction()
    assert bench.seen == [[0, 1, 2], [0], [1], [2]]
    assert transaction.writes[bench.table.partition_state(0)] == {"sum": b"4"}
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


async def test_a_worker_waits_before_a_record_of_a_newer_release(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    cycle = bench.cycle(1, b"{", b"newer", 3)
    transaction, retry = await cycle.transaction()
    assert bench.seen == [[0]]
    assert transaction.outputs[-1].value == b"undecodable"
    assert transaction.offsets == {("in", 0): 2}, "what stands before it is handled"
    assert str(retry) == (
        "in[0]@2 is a record of a newer release: id 99. This worker waits before it. Start the new"
        " release of the worker."
    )
    again, retry = await cycle.transaction()
    assert (again.offsets, retry is not None) == ({}, True)


async def test_an_agent_that_decodes_by_itself_waits_too(bench: Bench) -> None:
    async def decoding(stream: Any) -> None:
        async for batch in stream:
            bench.seen.append([record.offset for record in batch])
            if any(record.value == "newer" for record in batch):
                raise NewerRelease("id 99")

    bench.run_agent(decoding)
    transaction, retry = await bench.cycle(1, "newer", 3).transaction()
    assert transaction.offsets == {("in", 0): 1}
    assert retry is not None


async def test_a_tombstone_is_undecodable_and_says_so(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    bench.dead_letters = DeadLetters("dead", lambda _, __, detail, ___: detail.encode(), "app", 999)
    messages = [FakeMessage(0, None)]
    topics = {"in": bench.topic}
    poll = PollBatch(EngineSettings(), topics, [bench.table], bench.dead_letters, messages)
    transaction, _ = await poll.transaction()
    assert transaction.outputs[-1].value == (
        b"NoValue: The record has no value, and its topic takes no tombstones."
    )


async def test_a_state_of_a_newer_release_ends_the_worker(bench: Bench) -> None:
    async def reading(stream: Any) -> None:
        async for _ in stream:
            raise UnreadableState("The table has a value of version 9.")

    bench.run_agent(reading)
    with pytest.raises(UnreadableState):
        await bench.cycle(1).transaction()


async def test_without_dead_letters_a_failure_is_raised() -> None:
    bench = Bench(dead_letters=False)
    bench.run_agent(bench.summing)
    with pytest.raises(BatchFailed, match=r"in\[0\]@1 cannot be processed"):
        await bench.cycle(1, "poison").transaction()
    with pytest.raises(BatchFailed, match="cannot be decoded"):
        await bench.cycle(1, b"{").transaction()
    bench.stop()


async def test_a_value_that_cannot_be_encoded_is_a_dead_letter(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            view = batch.view(bench.table.partition_state(batch.partition))
            for record in batch:
                view[f"k{record.offset}"] = object() if record.value == 0 else record.value

    bench.run_agent(agent)
    transaction, _ = await bench.cycle(1, 0, 2).transaction()
    assert transaction.writes[bench.table.partition_state(0)] == {"k0": b"1", "k2": b"2"}


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
    cycle._pending = type(cycle._pending)(  # as two batch_slices
        type(cycle._pending[0])("in", 0, [message]) for message in cycle._pending[0].messages
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
    """Also past a failing record, and when the agent does not iterate over every record."""
    bench.table.expires_ms = lambda value: 1001

    async def agent(stream: Any) -> None:
        async for batch in stream:
            view = batch.view(bench.table.partition_state(batch.partition))
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


async def test_merged_partitions_are_one_batch_with_the_offsets_of_all_partitions(
    bench: Bench,
) -> None:
    bench.run_agent(bench.forwarding)
    transaction, _ = await bench.merge_partitions(
        [(1, 10), (0, 11), (1, 12), (2, 13)]
    ).transaction()
    assert bench.seen == [[0, 2, 1, 3]], "records of a partition are together, in order"
    assert transaction.offsets == {("in", 1): 3, ("in", 0): 2, ("in", 2): 4}
    assert transaction.outcomes == [(True, 4)]
    assert transaction.record_count == 4


async def test_a_failing_record_in_a_merged_batch_is_found_by_halves(bench: Bench) -> None:
    bench.run_agent(bench.forwarding)
    values: list[tuple[int, Any]] = [(offset % 3, offset) for offset in range(4000)]
    values[1234] = (values[1234][0], "poison")
    transaction, _ = await bench.merge_partitions(values).transaction()
    assert len(bench.seen) <= 30
    assert [1234] in bench.seen, "it was tried alone"
    letters = [output for output in transaction.outputs if output.topic == "dead"]
    assert (len(letters), len(transaction.outputs)) == (1, 4000)
    assert transaction.offsets == {("in", 0): 4000, ("in", 1): 3998, ("in", 2): 3999}
    assert sum(count for good, count in transaction.outcomes if good) == 3999


async def test_retry_in_a_merged_batch_leaves_everything_for_later(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for _ in stream:
            raise Retry(0.5)

    bench.run_agent(agent)
    cycle = bench.merge_partitions([(0, 1), (1, 2)])
    transaction, retry = await cycle.transaction()
    assert retry is not None
    assert (bool(transaction), cycle.done) == (False, False)


async def test_a_table_in_a_merged_batch_is_the_agents_mistake(
    bench: Bench,
) -> None:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            assert batch.partitions == (0, 1)
            batch.view(bench.table.partition_state(batch.partition))

    bench.run_agent(agent)
    with pytest.raises(AgentUsageError, match=r"record\.partition"):
        await bench.merge_partitions([(0, 1), (1, 2)]).transaction()


async def test_a_merged_batch_has_no_partition_of_its_own(bench: Bench) -> None:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            batch.emit("out", partition=batch.partition)

    bench.run_agent(agent)
    with pytest.raises(AgentUsageError, match="many partitions"):
        await bench.merge_partitions([(0, 1)]).transaction()


def test_merged_topics_and_partitions_in_one_poll() -> None:
    messages = [FakeMessage(0, topic="a"), FakeMessage(0, topic="b"), FakeMessage(0, partition=1)]
    messages += [FakeMessage(5, topic="b", partition=1), FakeMessage(1, topic="a")]
    slices = batch_slices(messages, "b")
    found = [(made.topic, made.partition, len(made.messages)) for made in slices]
    assert found == [("b", None, 2), ("a", 0, 2), ("in", 1, 1)]


def test_slices_are_in_the_order_of_partitions_and_then_of_topics() -> None:
    """Whatever order the brokers answered in: the same records are always decided the same way."""
    messages = [
        FakeMessage(offset, topic=topic, partition=partition)
        for offset in range(2)
        for topic in ("asked", "happened")
        for partition in range(3)
    ]
    wanted = [(topic, number) for number in range(3) for topic in ("happened", "asked")]
    for arrival in permutations(messages[:6]):
        made = batch_slices([*arrival, *messages[6:]], topics=("happened", "asked"))
        assert [(slice_.topic, slice_.partition) for slice_ in made] == wanted
        assert all([m.offset() for m in slice_.messages] == [0, 1] for slice_ in made)


def replays_poll(bench: Bench, *copies: tuple[str, str, int, Any], app: str = "app") -> PollBatch:
    """A poll of copies (app, topic, partition, value) in partition 3 of the topic of replays."""
    replays = FakeTopic("replays")
    replays.decode_replay = _replay
    messages = [
        FakeMessage(40 + at, json.dumps(copy).encode(), topic="replays", partition=3)
        for at, copy in enumerate(copies)
    ]
    topics = {"in": bench.topic, "replays": replays}
    settings = EngineSettings()
    return PollBatch(settings, topics, [bench.table], bench.dead_letters, messages, app_id=app)


def _replay(value: bytes) -> Replay:
    app, topic, partition, content = json.loads(value)
    headers: list[tuple[str, bytes | None]] = [("h", None), ("h", b"\xff")]
    raw = None if content is None else json.dumps(content).encode()
    return Replay(app, RawRecord(topic, partition, 7, b"\xff", headers, raw))


async def test_a_replay_reaches_the_agent_of_its_topic_as_it_was(bench: Bench) -> None:
    seen: list[Any] = []

    async def keeping(stream: Any) -> None:
        async for batch in stream:
            for record in batch:
                seen.append((batch.topic, record.partition, record.offset, record.value))
                seen.append((record.message.key(), record.message.headers(), record.replay))
            batch.view(bench.table.partition_state(batch.partition))["last"] = 1

    bench.run_agent(keeping)
    transaction, _ = await replays_poll(bench, ("app", "in", 3, 5)).transaction()
    assert seen == [
        ("in", 3, 7, 5),
        (b"\xff", [("h", None), ("h", b"\xff")], ("replays", 3, 40)),
    ]
    assert transaction.offsets == {("replays", 3): 41}
    assert transaction.writes[bench.table.partition_state(3)] == {"last": b"1"}


async def test_a_replay_for_another_app_and_one_for_nobody_are_skipped(bench: Bench) -> None:
    bench.run_agent(bench.summing)
    poll = replays_poll(
        bench,
        ("other", "in", 3, 1),
        ("app", "unknown", 3, 1),
        ("app", "in", 4, 1),
        ("app", "replays", 3, 1),
    )
    poll_and_garbage, _ = await poll.transaction()
    assert (bench.seen, poll.replays_skipped) == ([], 4)
    assert poll_and_garbage.offsets == {("replays", 3): 44}
    assert poll_and_garbage.outputs == []
    assert poll_and_garbage.outcomes == []
    garbage = replays_poll(bench, ("app", "in", 3, 1))
    garbage._pending[0].messages = [FakeMessage(40, b"{", topic="replays", partition=3)]
    transaction, _ = await garbage.transaction()
    assert (transaction.offsets, transaction.outputs) == ({("replays", 3): 41}, [])


async def test_a_replay_that_fails_again_is_a_letter_about_its_first_place(bench: Bench) -> None:
    seen: list[RawRecord] = []

    def encode(record: RawRecord, reason: str, _: str, app: str) -> bytes:
        seen.append(record)
        return f"{app} {reason}".encode()

    bench.dead_letters = DeadLetters("dead", encode, "app", 950_000)
    bench.run_agent(bench.summing)
    poll = replays_poll(bench, ("app", "in", 3, "poison"), ("app", "in", 3, None))
    transaction, _ = await poll.transaction()
    assert [output.value for output in transaction.outputs] == [
        b"app handler_failed",
        b"app undecodable",
    ]
    assert {(r.topic, r.partition, r.offset, r.key) for r in seen} == {("in", 3, 7, b"\xff")}
    assert transaction.offsets == {("replays", 3): 42}, "and no offset of the source topic"
