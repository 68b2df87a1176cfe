"""Apache Kafka's GroupModeTransactionsTest as one of our cases.

100,000 records, three workers that are killed three times each while every broker is bounced, once
hard and once cleanly; each record must come out exactly once.
"""

from __future__ import annotations

import random
import threading
import time

import pytest
from fault_cluster import Cluster, Figures
from stream.engine_harness import FAST_SESSION, Scenario, Worker, check_exactly_once

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1200)]
RECORDS = 100_000
KILLS_PER_WORKER = 3
INSTANCE_IDS = ("a", "b", "c")


class Killer(threading.Thread):
    """Kills workers in a random order; each is started again at once, as by a supervisor.

    The thread lasts until `stop`: a process that it started dies with it.
    """

    def __init__(self, replicated: Scenario, seed: int) -> None:
        super().__init__(daemon=True)
        self._replicated = replicated
        self._rng = random.Random(seed)
        self._stop_asked = threading.Event()
        self.done = threading.Event()

    def run(self) -> None:
        workers = {instance_id: self._start(instance_id) for instance_id in INSTANCE_IDS}
        order = list(INSTANCE_IDS) * KILLS_PER_WORKER
        self._rng.shuffle(order)
        for instance_id in order:
            time.sleep(self._rng.uniform(4, 12))
            print("schedule: kill worker", instance_id, flush=True)
            workers[instance_id].kill()
            workers[instance_id] = self._start(instance_id)
        self.done.set()
        self._stop_asked.wait()

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(10)

    def _start(self, instance_id: str) -> Worker:
        slow = "before_commit:0:sleep0.2"  # else the input ends before the faults do
        settings = FAST_SESSION | {"batch_records_max": 100}
        return self._replicated.start(instance_id, settings, FAIL_POINT=slow)


def test_group_mode_transactions(
    cluster: Cluster, replicated: Scenario, seed: int, figures: Figures
) -> None:
    print("schedule: seed", seed, flush=True)
    replicated.load(RECORDS, keys=2000)
    replicated.follow()
    began = time.monotonic()
    killer = Killer(replicated, seed)
    killer.start()
    for number in range(3):
        print("schedule: bounce broker", number, "hard, then cleanly", flush=True)
        cluster.kill(number)
        time.sleep(5)
        cluster.restart(number)
        time.sleep(5)
        cluster.terminate(number)
        cluster.restart(number)
        time.sleep(5)
    assert killer.done.wait(300)
    left = RECORDS - sum(replicated.committed().values())
    replicated.wait_done(600)
    figures.add(
        "group mode: 9 worker kills, 6 broker bounces",
        records=RECORDS,
        seconds=time.monotonic() - began,
        records_left_after_the_faults=left,
    )
    killer.stop()
    check_exactly_once(replicated)
