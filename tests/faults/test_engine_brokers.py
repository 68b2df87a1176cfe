"""Brokers that die, stop or pause under load; after each the logs equal the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fault_cluster import Cluster, Figures
from stream.engine_harness import FAST_SESSION, Scenario, Worker, check_exactly_once

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]
OUTAGE_SECONDS = 15.0
BACKLOG = 50_000
SLOW_COMMITS = "before_commit:0:sleep0.05"
SETTLE_SECONDS = 10.0


def two_workers(replicated: Scenario) -> list[Worker]:
    """With more input than they can do meanwhile: a loader would stand still with the brokers."""
    replicated.load(BACKLOG)
    replicated.follow()
    slow: dict[str, Any] = {"settings": {"batch_records_max": 20}, "FAIL_POINT": SLOW_COMMITS}
    workers = [replicated.start(instance_id, **slow) for instance_id in ("a", "b")]
    for worker in workers:
        worker.wait_for(lambda report: report["owned"] == 2, timeout_seconds=90)
    return workers


def kill(cluster: Cluster, number: int) -> None:
    cluster.kill(number)
    time.sleep(OUTAGE_SECONDS)
    cluster.restart(number)


def pause(cluster: Cluster, number: int) -> None:
    cluster.pause(number, OUTAGE_SECONDS)


def bounce_cleanly(cluster: Cluster, number: int) -> None:
    cluster.terminate(number)
    cluster.restart(number)


@pytest.mark.parametrize("fault", [kill, pause, bounce_cleanly])
def test_each_broker_in_turn(
    cluster: Cluster,
    replicated: Scenario,
    figures: Figures,
    fault: Callable[[Cluster, int], None],
) -> None:
    """Whichever is leader, controller, group or transaction coordinator: it is hit once."""
    workers = two_workers(replicated)
    for number in range(3):
        name = f"{fault.__name__} broker {number}"
        print("schedule:", name, flush=True)
        with figures.pauses(name, replicated, SETTLE_SECONDS):
            fault(cluster, number)
    assert sum(replicated.committed().values()) < BACKLOG, "no input was left: pauses mean nothing"
    replicated.wait_done(240)
    assert [worker.process.poll() for worker in workers] == [None, None], "no worker may die of it"
    check_exactly_once(replicated)


def test_two_of_three_brokers_at_once(
    cluster: Cluster, replicated: Scenario, figures: Figures
) -> None:
    """No quorum, nothing can commit; what was acknowledged before is all there after."""
    two_workers(replicated)
    with figures.pauses("kill two of three", replicated, 30.0):
        print("schedule: kill 0 and 1", flush=True)
        cluster.kill(0, 1)
        time.sleep(OUTAGE_SECONDS)
        cluster.restart(0, 1)
    for instance_id, worker in zip(("a", "b"), list(replicated.workers), strict=True):
        if worker.process.poll() is not None:  # as its supervisor would
            replicated.start(instance_id)
    replicated.wait_done(180)
    check_exactly_once(replicated)


def test_a_worker_and_a_broker_at_once(
    cluster: Cluster, replicated: Scenario, figures: Figures
) -> None:
    """The changelog's leader is lost in the new owner's restore: it waits, never starts empty."""
    replicated.load(5000)
    doomed = replicated.start("a", FAST_SESSION)
    replicated.wait_done()
    for number in range(3):
        print("schedule: kill the worker and broker", number, flush=True)
        known = len(replicated.keys)
        replicated.load(500)
        cluster.kill(number)
        doomed.kill()
        began = time.monotonic()
        doomed = replicated.start("a", FAST_SESSION)
        report = doomed.wait_for(
            lambda found: found["ready"] and found["owned"] == 4, timeout_seconds=120
        )
        figures.add(f"worker and broker {number} killed", ready_seconds=time.monotonic() - began)
        assert report["entries"] >= known
        cluster.restart(number)
        replicated.wait_done(120)
    check_exactly_once(replicated)
