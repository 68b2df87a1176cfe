"""The watchdog on real workers: each kind of stall ends the process with a diagnosis."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from stream.engine_harness import FAST_SESSION, WAIT_SECONDS, Scenario, check_exactly_once

pytestmark = pytest.mark.services
# Only the limit that a case is about is short: on a busy machine another would speak first.
IMPATIENT = {
    "block": FAST_SESSION | {"loop_stall_seconds": 2.5},
    "hang": FAST_SESSION | {"progress_stall_seconds": 2.5},
    "deaf": FAST_SESSION | {"progress_stall_seconds": 2.5},
    "restore": FAST_SESSION | {"restore_stall_seconds": 2.5},
}


@pytest.mark.parametrize(
    ("fault", "diagnosis"),
    [
        ("block", "the event loop did not run"),
        ("hang", "phase 'agent' lasts"),
        # On a busy machine another short limit may speak first: `make faults` runs it alone.
        pytest.param("deaf", "records waiting", marks=pytest.mark.slow),
    ],
)
def test_a_stall_ends_the_process_and_loses_nothing(
    single: Scenario, fault: str, diagnosis: str
) -> None:
    single.load(500)
    worker = single.start(settings=IMPATIENT[fault])
    single.wait_done()
    fault_file = single.directory / "agent-fault"
    fault_file.write_text(fault)
    single.load(200)
    time.sleep(1)
    single.load(200)
    assert worker.process.wait(WAIT_SECONDS) == 1
    logs = (single.directory / "worker-0.log").read_text()
    assert f"watchdog: {diagnosis}" in logs or diagnosis in logs
    assert "'transactions':" in logs, "what was done until then"
    assert "most recent call first" in logs, "stacks of all threads"
    fault_file.unlink()
    single.start()
    single.wait_done()
    check_exactly_once(single)


def test_a_restore_that_stands_still(single: Scenario) -> None:
    """A stranger's open transaction in the changelog: its owner is unknown, so it is not fenced."""
    single.load(500)
    worker = single.start()
    single.wait_done()
    assert worker.terminate() == 0
    stranger = Producer(
        {"bootstrap.servers": single.bootstrap, "transactional.id": f"{single.name}-stranger"}
    )
    stranger.init_transactions(20)
    stranger.begin_transaction()
    stranger.produce(f"{single.name}-counts-changelog", b"{}", b"k1", 0)
    assert stranger.flush(20) == 0
    stalled = single.start(settings=IMPATIENT["restore"])
    assert stalled.process.wait(WAIT_SECONDS) == 1
    assert "restore stands still" in (single.directory / "worker-0.log").read_text()
    stranger.abort_transaction(20)
    single.load(100)
    single.start()
    single.wait_done()
    check_exactly_once(single)
