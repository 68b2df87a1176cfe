"""Long schedules of faults against the engine; after each the logs equal the model."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from stream.engine_harness import (
    FAST_SESSION,
    Scenario,
    check_exactly_once,
    stop_a_worker_and_wake_it_after_its_heir,
)

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]
OUTAGE_SECONDS = 15.0


class Cluster:
    """Three brokers that can be killed, paused and brought back."""

    def __init__(self, directory: Path) -> None:
        kafka_jars.fetch()
        made, self.brokers = kafka.start_in(directory, brokers=3)
        self._launches = made.launches
        self.bootstrap = made.bootstrap_servers

    def kill(self, number: int) -> None:
        self.brokers[number].kill_group()

    def restart(self, number: int) -> None:
        self.brokers[number] = Child(self._launches[number])
        self.brokers[number].wait_ready()

    def stop(self) -> None:
        for broker in self.brokers:
            broker.kill_group()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def replicated(cluster: Cluster, tmp_path: Path) -> Iterator[Scenario]:
    made = Scenario(cluster.bootstrap, tmp_path, replication=3)
    yield made
    made.stop()


@pytest.fixture
def single(kafka_broker: str, tmp_path: Path) -> Iterator[Scenario]:
    made = Scenario(kafka_broker, tmp_path)
    yield made
    made.stop()


class Load:
    """Commands in the background, `per_second`, until told to stop."""

    def __init__(self, scenario: Scenario, per_second: int) -> None:
        self._scenario = scenario
        self._per_second = per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(90)

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self._scenario.load(self._per_second)


def kill_broker(cluster: Cluster, number: int) -> None:
    cluster.kill(number)
    time.sleep(OUTAGE_SECONDS)
    cluster.restart(number)


def pause_broker(cluster: Cluster, number: int) -> None:
    cluster.brokers[number].signal(signal.SIGSTOP)
    time.sleep(OUTAGE_SECONDS)
    cluster.brokers[number].signal(signal.SIGCONT)


@pytest.mark.parametrize("fault", [kill_broker, pause_broker])
def test_each_broker_in_turn(
    cluster: Cluster, replicated: Scenario, fault: Callable[[Cluster, int], None]
) -> None:
    """Whichever is leader, controller, group or transaction coordinator: it is hit once."""
    replicated.load(500)
    workers = [replicated.start(slot, FAST_SESSION) for slot in ("a", "b")]
    for worker in workers:
        worker.wait_for(lambda report: report["owned"] == 2, timeout_seconds=90)
    with Load(replicated, per_second=200):
        for number in range(3):
            print("schedule:", fault.__name__, number, flush=True)
            fault(cluster, number)
            time.sleep(10)
    replicated.wait_done(180)
    assert [worker.process.poll() for worker in workers] == [None, None], "no worker may die of it"
    check_exactly_once(replicated)


def test_many_kills_and_stops(single: Scenario, seed: int) -> None:
    """Three workers under load; one is killed or stopped beyond its session, again and again."""
    rng = random.Random(seed)
    settings = FAST_SESSION | {"batch_records_max": 200}
    slots = ("a", "b", "c")
    slow = "before_commit:0:sleep0.02"
    workers = {slot: single.start(slot, settings, HOOK=slow) for slot in slots}
    with Load(single, per_second=400):
        for _ in range(12):
            slot, action = rng.choice(slots), rng.choice(["kill", "stop", "term"])
            print("schedule:", seed, slot, action, flush=True)
            worker = workers[slot]
            if action == "stop":
                worker.signal(signal.SIGSTOP)
                time.sleep(rng.uniform(1, 10))
                worker.signal(signal.SIGCONT)
            else:
                worker.kill() if action == "kill" else worker.terminate()
                workers[slot] = single.start(slot, settings, HOOK=slow)
            time.sleep(rng.uniform(0.5, 4))
    single.wait_done(120)
    check_exactly_once(single)


def test_an_output_topic_that_is_not_there_is_named(single: Scenario) -> None:
    """The client itself looks for it for 30 s; then the worker ends, with nothing committed."""
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    admin.delete_topics([f"{single.name}.out"])[f"{single.name}.out"].result(20)
    single.load(10)
    worker = single.start()
    assert worker.process.wait(90) == 1
    assert "CommandRefused" in single.logs()
    assert sum(single.committed().values()) == 0


@pytest.mark.parametrize("step", ["between_produces", "before_send_offsets"])
def test_a_zombie_cannot_commit(single: Scenario, step: str) -> None:
    stop_a_worker_and_wake_it_after_its_heir(single, step)


def test_two_machines_with_one_slot(single: Scenario) -> None:
    """The earlier worker says that its slot was taken and ends; nothing is written twice."""
    single.load(500)
    first = single.start("0", FAST_SESSION, HOST="one")
    first.wait_ready()
    second = single.start("0", FAST_SESSION, HOST="two")
    second.wait_ready()
    with Load(single, per_second=200):
        assert first.process.wait(60) == 1
        time.sleep(3)
    single.wait_done()
    check_exactly_once(single)
