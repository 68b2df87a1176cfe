"""Exactly once through agent errors, kills and a stopped worker, on a real broker."""

from __future__ import annotations

import signal

import pytest
from stream.engine_harness import (
    FAST_SESSION,
    Scenario,
    check_exactly_once,
    stop_a_worker_and_wake_it_after_its_heir,
)

pytestmark = pytest.mark.services
STEPS = (
    "before_produce",
    "between_produces",
    "before_send_offsets",
    "before_commit",
    "after_commit",
)


def test_commits_everything_once_and_ends_cleanly(scenario: Scenario) -> None:
    scenario.load(5000)
    worker = scenario.start()
    worker.wait_for(lambda report: report["records"] == 5000)
    assert worker.terminate() == 0
    check_exactly_once(scenario)


def test_kill_9_at_each_step_of_a_commit(scenario: Scenario) -> None:
    settings = {"batch_records_max": 300}
    for step in STEPS:
        scenario.load(1500)
        doomed = scenario.start(settings=settings, FAIL_POINT=f"{step}:2:kill")
        assert doomed.process.wait(40) == -signal.SIGKILL, step
    scenario.start(settings=settings)
    scenario.wait_done()
    check_exactly_once(scenario)


def test_a_zombie_cannot_commit(scenario: Scenario) -> None:
    """Its offsets are unstable when it stops: the new owner has to fence it to see them."""
    stop_a_worker_and_wake_it_after_its_heir(scenario, "before_commit")


def test_partitions_move_under_load(scenario: Scenario) -> None:
    scenario.load(3000)
    settings = FAST_SESSION | {"batch_records_max": 200}
    first = scenario.start("first", settings, FAIL_POINT="before_commit:0:sleep0.02")
    first.wait_ready()
    second = scenario.start("second", settings, FAIL_POINT="before_commit:0:sleep0.02")
    second.wait_for(lambda report: report["owned"] == 2)
    scenario.load(3000)
    assert second.terminate() == 0
    scenario.load(1000)
    scenario.wait_done()
    check_exactly_once(scenario)
