"""A commit that hangs, brokers that do not answer: SIGTERM and revocation end in bounded time.

The bounds are the engine's own (`drain_seconds`, `shutdown_seconds_max`) and a little more.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from fault_cluster import Figures
from stream.engine_harness import (
    FAST_SESSION,
    WAIT_SECONDS,
    Scenario,
    Worker,
    check_exactly_once,
)

from devstack.services.child import Child
from engine import EngineSettings

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
DRAIN_SECONDS = 2.0
STEPS = ("between_produces", "before_commit", "after_commit")
PATIENT: dict[str, Any] = FAST_SESSION | {
    "batch_records_max": 200,
    "drain_seconds": DRAIN_SECONDS,
    "commit_hang_seconds": 60.0,  # the call itself would be given up later
}


def hanging(scenario: Scenario, instance_id: str, step: str) -> Worker:
    """A worker whose client call does not return at this step of its third transaction."""
    worker = scenario.start(instance_id, PATIENT, FAIL_POINT=f"{step}:3:hang")
    assert worker.hangs.wait(WAIT_SECONDS)
    return worker


@pytest.mark.parametrize(
    "step",
    [
        "before_commit",
        pytest.param("between_produces", marks=pytest.mark.slow),
        pytest.param("after_commit", marks=pytest.mark.slow),
    ],
)
def test_sigterm_ends_a_worker_whose_commit_hangs(
    single: Scenario, figures: Figures, step: str
) -> None:
    single.load(1000)
    worker = hanging(single, "0", step)
    began = time.monotonic()
    assert worker.terminate(DRAIN_SECONDS + 15) == 0
    figures.add(f"SIGTERM while {step} hangs", seconds=time.monotonic() - began)
    single.start(settings=PATIENT)
    single.wait_done()
    check_exactly_once(single)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_partitions_are_let_go_while_a_commit_hangs(
    single: Scenario, figures: Figures, step: str
) -> None:
    """The new owner gets its share after `drain_seconds`; what hung is decided by fencing."""
    single.load(1000)
    worker = hanging(single, "a", step)
    began = time.monotonic()
    new_owner = single.start("b", FAST_SESSION)
    new_owner.wait_for(lambda report: report["ready"] and report["owned"] == 2)
    figures.add(f"revocation while {step} hangs", seconds=time.monotonic() - began)
    worker.wait_for(lambda report: report["ready"] and report["owned"] == 2)
    single.load(500)
    single.wait_done()
    check_exactly_once(single)


@pytest.mark.slow
def test_sigterm_while_no_broker_answers(lonely: tuple[Scenario, Child], figures: Figures) -> None:
    """Of what it may hang in then, nothing lasts beyond `shutdown_seconds_max`."""
    scenario, broker = lonely
    scenario.load(1000)
    worker = scenario.start(settings=FAST_SESSION | {"batch_records_max": 50})
    worker.wait_for(lambda report: report["transactions"] > 2)
    broker.kill_group()
    time.sleep(3)
    began = time.monotonic()
    worker.terminate(EngineSettings().shutdown_seconds_max + 5)
    figures.add("SIGTERM while no broker answers", seconds=time.monotonic() - began)
