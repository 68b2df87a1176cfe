"""Starting `counting_app` workers, loading them, and checking the logs against a model."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from uuid_utils import uuid7

TESTS = Path(__file__).resolve().parents[1]
PR_SET_PDEATHSIG = 1
PARTITIONS = 4
WAIT_SECONDS = 120.0
"""For what takes seconds on an idle machine: a bound for tests that hang, no measure."""
FAST_SESSION = {"session_timeout_seconds": 6.0, "heartbeat_seconds": 1.0}

Command = dict[str, Any]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Worker:
    """One worker process.

    `latest` is the last line it reported, `commits` when it committed, `hangs` whether it said so.
    """

    def __init__(self, module: str, environment: dict[str, str], log_path: Path) -> None:
        self._log = log_path.open("ab")
        self.latest: dict[str, Any] = {}
        self.commits: list[float] = []
        self.hangs = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=TESTS,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls prctl only
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self._take(json.loads(line))

    def _take(self, report: dict[str, Any]) -> None:
        if "hangs" in report:
            self.hangs.set()
            return
        before, self.latest = self.latest.get("transactions", 0), report
        if report.get("transactions", 0) > before:
            self.commits.append(time.monotonic())

    def wait_for(
        self, condition: Callable[[dict[str, Any]], Any], timeout_seconds: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """Until the worker reports it; fails with the last report."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self.latest and condition(self.latest):
                return self.latest
            if self.process.poll() is not None:
                raise AssertionError(f"worker ended with {self.process.returncode}: {self.latest}")
            time.sleep(0.02)
        raise AssertionError(f"not within {timeout_seconds} s: {self.latest}")

    def longest_pause_seconds(self, since: float) -> float:
        """Between two commits, from the last one before `since` (monotonic), or then, to now."""
        times = [at for at in self.commits if at >= since]
        before = [at for at in self.commits if at < since][-1:]
        marks = [*(before or [since]), *times, time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(marks))

    def wait_for_commit(self, since: float, timeout_seconds: float = WAIT_SECONDS) -> float:
        """When it first committed after `since` (monotonic)."""
        self.wait_for(lambda _: any(at > since for at in self.commits), timeout_seconds)
        return next(at for at in self.commits if at > since)

    def wait_ready(self) -> dict[str, Any]:
        return self.wait_for(lambda report: report["ready"])

    def wait_for_line(self, log: Path, text: str, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Until the worker's log says so."""
        deadline = time.monotonic() + timeout_seconds
        while not log.exists() or text not in log.read_text():
            assert self.process.poll() is None, f"worker ended with {self.process.returncode}"
            assert time.monotonic() < deadline, f"not in {log}: {text}"
            time.sleep(0.05)

    def wait_stopped(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Until the process has sent itself a SIGSTOP."""
        status = Path(f"/proc/{self.process.pid}/stat")
        deadline = time.monotonic() + timeout_seconds
        while status.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline, f"not stopped: {self.latest}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout_seconds: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout_seconds)


class Scenario:
    """A group of its own with topics `<name>.in`, `.out`, `.dlq`."""

    def __init__(
        self, bootstrap: str, directory: Path, partitions: int = PARTITIONS, replication: int = 1
    ) -> None:
        self.replication = replication
        self.bootstrap = bootstrap
        self.directory = directory
        self.partitions = partitions
        self.name = f"engine-{uuid7().hex[-12:]}"
        self.commands = 0
        self.keys: set[str] = set()
        self.workers: list[Worker] = []
        self.create_topics("in", "out", "dlq")
        self.follower: Follower | None = None

    def follow(self) -> None:
        """Read the output from now on as a reader of committed records would."""
        self.follower = Follower(self.bootstrap, f"{self.name}.out", self.partitions)

    def create_topics(self, *suffixes: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topics = [
            NewTopic(f"{self.name}.{suffix}", self.partitions, self.replication)
            for suffix in suffixes
        ]
        for answer in admin.create_topics(topics).values():
            answer.result(20)

    def start(
        self, instance_id: str = "0", settings: dict[str, Any] | None = None, **environment: str
    ) -> Worker:
        module = environment.pop("MODULE", "stream.counting_app")
        chosen = {
            "BOOTSTRAP": self.bootstrap,
            "NAME": self.name,
            "INSTANCE_ID": instance_id,
            "WORK_DIR": str(self.directory),
            "SETTINGS": json.dumps(settings or {}),
            "PARTITIONS": str(self.partitions),
            "REPLICATION": str(self.replication),
        }
        worker = Worker(module, chosen | environment, self.directory / f"worker-{instance_id}.log")
        self.workers.append(worker)
        return worker

    def load(self, count: int, keys: int = 500, **extra: Any) -> None:
        """Ordinary commands, from a seed of their own."""
        rng = random.Random(self.commands)
        self.produce(
            [
                (f"k{rng.randrange(keys)}", {"amount": rng.randrange(1000), **extra})
                for _ in range(count)
            ]
        )

    def produce(self, commands: list[tuple[str, Any]]) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "enable.idempotence": True,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        for key, command in commands:
            self.keys.add(key)
            value = command if isinstance(command, bytes) else json.dumps(command).encode()
            producer.produce(f"{self.name}.in", value, key)
        assert producer.flush(60) == 0
        self.commands += len(commands)

    def committed(self) -> dict[int, int]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.name,
                "isolation.level": "read_committed",
            }
        )
        asked = [TopicPartition(f"{self.name}.in", number) for number in range(self.partitions)]
        deadline = time.monotonic() + 60
        while True:
            try:
                found = consumer.committed(asked, timeout=10)
                break
            except KafkaException:  # a coordinator that has not loaded yet
                assert time.monotonic() < deadline
                time.sleep(0.2)
        consumer.close()
        return {place.partition: max(0, place.offset) for place in found}

    def wait_done(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Until everything produced is committed."""
        deadline = time.monotonic() + timeout_seconds
        while (done := sum(self.committed().values())) < self.commands:
            assert time.monotonic() < deadline, (
                f"{done} of {self.commands} committed\n{self.logs()}"
            )
            time.sleep(0.1)

    def read(self, suffix: str, isolation: str = "read_committed") -> list[Any]:
        """All messages of a topic now."""
        return list(read_topic(self.bootstrap, f"{self.name}{suffix}", isolation))

    def logs(self) -> str:
        texts = [path.read_text()[-4000:] for path in self.directory.glob("worker-*.log")]
        return "\n----\n".join(texts)

    def stop(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
        if self.follower is not None:
            self.follower.stop()


class Follower:
    """A read_committed reader beside the workers, from the first record on."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.seen: list[tuple[int, int, bytes]] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "follower",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, count: int, timeout_seconds: float = WAIT_SECONDS) -> None:
        deadline = time.monotonic() + timeout_seconds
        while len(self.seen) < count:
            assert time.monotonic() < deadline, f"the follower saw {len(self.seen)} of {count}"
            time.sleep(0.05)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._consumer.close()

    def _read(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(1000, 0.1):
                if message.error() is None:
                    self.seen.append((message.partition(), message.offset(), message.value()))


def read_topic(bootstrap: str, topic: str, isolation: str) -> Iterator[Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "check",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    partitions = list(consumer.list_topics(topic, 10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    ended: set[int] = set()
    deadline = time.monotonic() + 90
    while len(ended) < len(partitions):
        assert time.monotonic() < deadline, f"{topic}: an open transaction hides its end"
        for message in consumer.consume(10_000, 0.2):
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
    consumer.close()


def check_exactly_once(scenario: Scenario) -> None:
    """Events, changelog and offsets equal the pure recomputation; no transaction is open."""
    state: dict[str, dict[str, Any]] = {}
    expected: dict[tuple[int, int], list[Any]] = {}
    for message in scenario.read(".in"):
        command = json.loads(message.value())
        key = message.key().decode()
        entry = state.setdefault(key, {"count": 0, "sum": 0, "due_ms": None})
        entry["count"] += 1
        entry["sum"] += command["amount"]
        entry["due_ms"] = command.get("due_ms")
        place = (message.partition(), message.offset())
        expected[place] = [key, entry["count"], entry["sum"], *place]
    outputs = scenario.read(".out")
    _check_follower(scenario, outputs)
    found = [json.loads(message.value()) for message in outputs]
    places = [(event[3], event[4]) for event in found]
    assert len(places) == len(set(places)), "an input produced two events"
    assert set(places) == set(expected), f"missing {len(set(expected) - set(places))} events"
    assert all(expected[event[3], event[4]] == event for event in found), "an event is wrong"
    _check_order(found)
    assert _changelog(scenario) == state, "changelog is not the recomputed state"
    assert sum(scenario.committed().values()) == len(expected)


def _check_follower(scenario: Scenario, outputs: list[Any]) -> None:
    """Who read along saw the same, in the same order, and nothing that went away."""
    if scenario.follower is None:
        return
    scenario.follower.wait_for(len(outputs))
    final = [(message.partition(), message.offset(), message.value()) for message in outputs]
    assert sorted(scenario.follower.seen) == sorted(final)
    for number in range(scenario.partitions):
        offsets = [offset for part, offset, _ in scenario.follower.seen if part == number]
        assert offsets == sorted(offsets)


def _check_order(events: list[list[Any]]) -> None:
    counts: dict[str, int] = {}
    for key, count, *_ in events:
        assert count == counts.get(key, 0) + 1, f"{key}: {count} after {counts.get(key)}"
        counts[key] = count


def _changelog(scenario: Scenario) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for message in scenario.read("-counts-changelog"):
        key = message.key().decode()
        if message.value() is None:
            table.pop(key, None)
        else:
            table[key] = json.loads(message.value())
    return table


def stop_a_worker_and_wake_it_after_its_heir(scenario: Scenario, step: str) -> None:
    """SIGSTOP at this step of an open transaction, beyond the session time-out."""
    scenario.load(2000)
    zombie = scenario.start(
        "zombie", FAST_SESSION | {"batch_records_max": 300}, FAIL_POINT=f"{step}:3:stop"
    )
    zombie.wait_stopped()
    new_owner = scenario.start("new-owner", FAST_SESSION)
    new_owner.wait_for(lambda report: report["owned"] == 4, timeout_seconds=30)
    scenario.load(1000)
    scenario.wait_done()
    zombie.signal(signal.SIGCONT)
    zombie.wait_for(lambda report: report["aborts"] == 1 and report["ready"])
    scenario.load(1000)
    scenario.wait_done()
    check_exactly_once(scenario)
