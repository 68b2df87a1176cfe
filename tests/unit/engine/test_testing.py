"""The test kit runs agents as the engine does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from engine import BatchStream, EngineApp, RawRecord, Retry, TransactionalTable
from engine.errors import BatchFailed
from engine.testing import SourceRecord, run_batch


def encode_dead_letter(record: RawRecord, reason_code: str, detail: str, source_app: str) -> bytes:
    return f"{reason_code} at {record.offset} in {source_app}: {detail}".encode()


class Counting:
    """An app that sums per key, with a dead letter topic or without."""

    def __init__(self, **settings: Any) -> None:
        self.app = EngineApp("counting", bootstrap_servers="127.0.0.1:1", **settings)
        self.down = False
        self.table: TransactionalTable = self.app.transactional_table(
            "sums", encode=msgpack, decode=json.loads, expires_ms=lambda value: value["until_ms"]
        )
        topic = self.app.batch_topic("in", decode=json.loads, decode_errors=(KeyError,))

        @self.app.agent(topic)
        async def add(stream: BatchStream) -> None:
            async for batch in stream:
                sums = self.table.partition(batch)
                for record in batch:
                    if self.down:
                        raise Retry(2.0, "the store is down")
                    entry = sums.get(record.key) or {"sum": 0, "until_ms": None}
                    entry["sum"] += record.value["amount"]
                    entry["until_ms"] = record.value.get("until_ms")
                    sums[record.key] = entry
                    batch.emit("out", record.key, b"%d" % entry["sum"])


def msgpack(value: Any) -> bytes:
    return json.dumps(value).encode()


def record(key: str, amount: Any, partition: int = 0, time_ms: int = 0, **more: Any) -> Any:
    value = json.dumps({"amount": amount, **more}).encode()
    return SourceRecord(value, key, partition=partition, timestamp_ms=time_ms)


def with_dead_letters() -> Counting:
    return Counting(dead_letter_topic="dead", encode_dead_letter=encode_dead_letter)


async def test_outputs_tables_and_offsets_are_what_would_be_committed() -> None:
    counting = Counting()
    outputs = await run_batch(
        counting.app, "in", [record("a", 1), record("b", 5, partition=3), record("a", 2)]
    )
    assert [(o.key, o.value) for o in outputs.of("out")] == [("a", b"1"), ("a", b"3"), ("b", b"5")]
    assert outputs.offsets == {("in", 0): 2, ("in", 3): 1}
    assert (outputs.retry, outputs.dead_letter_count) == (None, 0)
    assert dict(counting.table.items())["a"]["sum"] == 3
    assert counting.table.owned_partitions == {0, 3}
    again = await run_batch(counting.app, "in", [record("a", 10)])
    assert [o.value for o in again.records] == [b"13"], "tables keep their state"


async def test_a_failed_record_rolls_back_alone_and_becomes_a_dead_letter() -> None:
    counting = with_dead_letters()
    outputs = await run_batch(
        counting.app, "in", [record("a", 1), record("a", "x"), record("a", 2)]
    )
    assert [o.value for o in outputs.of("out")] == [b"1", b"3"]
    assert (outputs.of("dead")[0].value or b"").startswith(b"handler_failed at 1 in counting: ")
    assert outputs.dead_letter_count == 1
    assert outputs.offsets == {("in", 0): 3}


async def test_what_is_undecodable_is_named_so_also_when_the_agent_finds_out() -> None:
    counting = with_dead_letters()
    records = [SourceRecord(b"{", "a"), SourceRecord(b"{}", "a")]
    outputs = await run_batch(counting.app, "in", records)
    reasons = sorted((o.value or b"").split()[0] for o in outputs.of("dead"))
    assert reasons == [b"undecodable", b"undecodable"]


async def test_without_dead_letters_a_failure_is_raised() -> None:
    counting = Counting()
    with pytest.raises(BatchFailed, match=r"in\[0\]@0 cannot be processed"):
        await run_batch(counting.app, "in", [record("a", "x")])
    assert len(counting.table) == 0


async def test_a_retry_is_reported_and_nothing_is_written() -> None:
    counting = Counting()
    counting.down = True
    outputs = await run_batch(counting.app, "in", [record("a", 1)])
    assert outputs.retry is not None
    assert outputs.retry.seconds == 2.0
    assert (outputs.records, dict(outputs.offsets), len(counting.table)) == ([], {}, 0)


async def test_entries_expire_by_the_time_of_the_records() -> None:
    counting = Counting()
    await run_batch(counting.app, "in", [record("a", 1, time_ms=1000, until_ms=2000)])
    young = await run_batch(counting.app, "in", [record("a", 1, time_ms=1999, until_ms=2000)])
    assert young.records[0].value == b"2"
    late = await run_batch(counting.app, "in", [record("a", 1, time_ms=2000)])
    assert late.records[0].value == b"1"


async def test_a_topic_without_an_agent_is_named() -> None:
    app = EngineApp("empty", bootstrap_servers="127.0.0.1:1")
    app.batch_topic("in", decode=json.loads)
    with pytest.raises(ValueError, match="in has no agent"):
        await run_batch(app, "in", [])


async def test_tasks_of_an_app_wait_for_no_recovery_of_faust() -> None:
    """A broker that dies before the first recovery would hold them up for ever."""
    app = EngineApp("impatient", bootstrap_servers="127.0.0.1:1")
    app.tables.recovery._started.set()
    async with asyncio.timeout(1):
        assert await app._wait_for_table_recovery_completed() is False
