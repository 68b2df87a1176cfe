"""A request that the network delivers late (the hazard of KIP-890): the end of one transaction
arrives in the middle of the next one of the same producer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_cluster import Load
from slow_network import END_TXN, DistantBroker
from stream.engine_harness import FAST_SESSION, Scenario, check_exactly_once

pytestmark = pytest.mark.services
DELAY_SECONDS = 0.5
ROUNDS = 3


@pytest.fixture
def distant(tmp_path: Path) -> Iterator[DistantBroker]:
    made = DistantBroker(tmp_path / "broker")
    yield made
    made.stop()


def test_a_late_end_of_a_transaction_does_not_end_the_next(
    distant: DistantBroker, tmp_path: Path
) -> None:
    """It meets an open transaction; the worker dies just then: what it wrote must not be seen."""
    scenario = Scenario(distant.bootstrap, tmp_path)
    scenario.follow()
    settings = FAST_SESSION | {"batch_records_max": 100}
    open_for_a_second = {"FAIL_POINT": "before_send_offsets:0:sleep1.0"}
    try:
        with Load(scenario, per_second=200):
            for number in range(ROUNDS):
                worker = scenario.start(settings=settings, **open_for_a_second)
                worker.wait_for(lambda report: report["transactions"] > 2)
                distant.network.delay_next(END_TXN, DELAY_SECONDS)
                deadline = time.monotonic() + 30
                while distant.network.delivered_late <= number:
                    assert time.monotonic() < deadline, "no transaction ended"
                    time.sleep(0.02)
                time.sleep(0.1)
                worker.kill()
        scenario.start(settings=settings)
        scenario.wait_done()
        check_exactly_once(scenario)
    finally:
        scenario.stop()
