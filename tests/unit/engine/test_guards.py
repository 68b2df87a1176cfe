"""What stops or refuses a worker: watchdog, instance lock, topology; the cut of a poll by bytes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from fakes import FakeMessage

from engine.broker.clients import ClientConfig
from engine.broker.topology import _mismatches
from engine.consumers.fetcher import Fetcher
from engine.errors import InstanceIdInUse, LogTruncated, NonRetriableBrokerError
from engine.membership.instance_id import InstanceLock
from engine.membership.watchdog import Watchdog
from engine.settings import EngineSettings


def watchdog(assignment: Any) -> Watchdog:
    config = ClientConfig("app", "0", "127.0.0.1:1", EngineSettings())
    return Watchdog(SimpleNamespace(context=SimpleNamespace(config=config), assignment=assignment))  # type: ignore[arg-type] # what it reads


def owner(phase: str, since: float, restore: Any = None, lag: int = 0) -> Any:
    return SimpleNamespace(
        phase=phase, phase_at=since, restore=restore, total_lag=lambda _: lag, progress_at=since
    )


def test_the_watchdog_complains_about_a_stalled_step_restore_or_loop() -> None:
    now = time.monotonic()
    assert watchdog(None).find_stall(now) is None
    assert watchdog(owner("commit", now - 10)).find_stall(now) is None
    stall = watchdog(owner("commit", now - 200)).find_stall(now)
    assert stall is not None
    assert "'commit'" in stall
    assert watchdog(owner("idle", now - 9999)).find_stall(now) is None
    idle = owner("fetch", now - 9999)
    assert watchdog(idle).find_stall(now) is None
    assert watchdog(owner("fetch", now - 100, lag=7)).find_stall(now) is None
    assert "7 records waiting" in (watchdog(owner("fetch", now - 200, lag=7)).find_stall(now) or "")
    restoring = SimpleNamespace(progress_at=now - 100)
    assert watchdog(owner("restore", now - 9999, restoring)).find_stall(now) is None
    restoring.progress_at = now - 400
    assert "restore" in (watchdog(owner("restore", now - 9999, restoring)).find_stall(now) or "")
    assert "event loop" in (watchdog(None).find_stall(now + 100) or "")


def test_the_watchdog_complains_of_a_group_that_is_never_joined() -> None:
    now = time.monotonic()
    outside = watchdog(None)
    outside._loop_ran_at = now + 1000
    assert outside.find_stall(now) is None
    assert outside.find_stall(now + 299) is None
    assert "assigned nothing" in (outside.find_stall(now + 301) or "")


def test_an_instance_id_has_one_live_worker_and_is_free_after_kill_9(tmp_path: Path) -> None:
    holder = (
        "import sys, time, pathlib; from engine.membership.instance_id import InstanceLock; "
        "lock = InstanceLock(pathlib.Path(sys.argv[1]), 'app', '0'); lock.acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(InstanceIdInUse, match=str(process.pid)):
        InstanceLock(tmp_path, "app", "0").acquire()
    InstanceLock(tmp_path, "app", "1").acquire()
    process.kill()
    process.wait()
    lock = InstanceLock(tmp_path, "app", "0")
    lock.acquire()
    lock.release()


def test_topology_names_what_is_missing_or_does_not_fit() -> None:
    problems = list(_mismatches({"a": 4, "b": 4, "c": None}, {"b": 3, "c": 9}))
    assert len(problems) == 2
    assert "Create the topic" in problems[0]
    assert "b has 3 partitions, 4 are wanted" in problems[1]


class SizedMessage(FakeMessage):
    def __len__(self) -> int:
        return 40


def test_a_poll_is_cut_at_the_byte_bound() -> None:
    settings = EngineSettings(batch_bytes_max=100)
    fetcher = Fetcher(ClientConfig("app", "0", "127.0.0.1:1", settings))
    messages = [SizedMessage(offset) for offset in range(5)]
    now, rest = fetcher._split_by_bytes(messages)
    assert [message.offset() for message in now] == [0, 1]
    assert [message.offset() for message in rest] == [2, 3, 4]
    alone, rest = fetcher._split_by_bytes(messages[:1])
    assert (len(alone), rest) == (1, [])


def test_an_offset_out_of_range_is_never_skipped() -> None:
    class OutOfRange(FakeMessage):
        def error(self) -> Any:
            return KafkaError(KafkaError._AUTO_OFFSET_RESET)

    fetcher = Fetcher(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    with pytest.raises(LogTruncated, match="retention"):
        fetcher._is_record(OutOfRange(1))


def test_a_right_that_is_missing_is_no_empty_poll() -> None:
    class Denied(FakeMessage):
        def error(self) -> Any:
            return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    fetcher = Fetcher(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    with pytest.raises(NonRetriableBrokerError, match=r"reading in\[0\].*rights of this worker"):
        fetcher._is_record(Denied(1))


class EndedConsumer:
    """Its partition holds records 0 to 6 and a transaction's marker at 7."""

    def get_watermark_offsets(self, place: Any, cached: bool = False) -> tuple[int, int]:
        return 0, 8


def test_markers_at_the_end_are_no_lag() -> None:
    class End(FakeMessage):
        def error(self) -> Any:
            return KafkaError(KafkaError._PARTITION_EOF)

    fetcher = Fetcher(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    fetcher.consumer = EndedConsumer()
    assert fetcher.lag_by_partition({("in", 0): 7}) == {("in", 0): 1}, "the end was not seen yet"
    assert fetcher.blocked_by_partition({("in", 0): 7}) == {("in", 0): 0}
    assert not fetcher._is_record(End(8))
    assert fetcher.lag_by_partition({("in", 0): 7}) == {("in", 0): 0}
    assert fetcher.blocked_by_partition({("in", 0): 7}) == {("in", 0): 0}
    fetcher._in_flight = [FakeMessage(offset) for offset in (3, 4, 5)]
    fetcher._remaining = [FakeMessage(6)]
    assert fetcher.lag_by_partition({("in", 0): 3}) == {("in", 0): 5}, "4 records are being handled"
    assert fetcher.lag_by_partition({("in", 0): 6}) == {("in", 0): 2}, "one is read and not handled"
    assert fetcher.lag_by_partition({("in", 0): 7}) == {("in", 0): 0}


def test_what_stands_behind_an_open_transaction_is_blocked() -> None:
    class End(FakeMessage):
        def error(self) -> Any:
            return KafkaError(KafkaError._PARTITION_EOF)

    fetcher = Fetcher(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    fetcher.consumer = EndedConsumer()
    assert not fetcher._is_record(End(5))
    assert fetcher.blocked_by_partition({("in", 0): 5}) == {("in", 0): 3}
    assert fetcher.lag_by_partition({("in", 0): 5}) == {("in", 0): 3}
    assert fetcher.blocked_by_partition({("in", 0): 6}) == {("in", 0): 0}, "it went on since then"
    fetcher._in_flight = [FakeMessage(4)]
    assert fetcher.blocked_by_partition({("in", 0): 4}) == {("in", 0): 0}, "it is working"
