"""A parallel consumer on a real broker: order per key, concurrency, durability through kill -9."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from stream.engine_harness import FAST_SESSION, Scenario

pytestmark = pytest.mark.services
CALLS = {"MODULE": "stream.parallel_consumer_app", "settings": FAST_SESSION}


def commands(keys: list[str], count: int) -> list[tuple[str, dict[str, int]]]:
    return [(keys[n % len(keys)], {"n": n}) for n in range(count)]


def results_by_key(scenario: Scenario) -> dict[str, list[int]]:
    found = defaultdict(list)
    for message in scenario.read(".out"):
        found[message.key().decode()].append(json.loads(message.value()))
    return found


def test_keys_in_order_and_beside_each_other(scenario: Scenario) -> None:
    """A slow key holds up no other; a failing one ends in the dead letters."""
    scenario.produce([("slow", {"n": 0}), ("bad", {"n": 0})])
    keys = [f"k{number}" for number in range(40)]
    scenario.produce(commands(keys, 400))
    worker = scenario.start(**CALLS)
    report = worker.wait_for(lambda found: found["results"] >= 400)
    assert 10 < report["running_max"] <= 50
    worker.wait_for(lambda found: found["dead_letters"] == 1)
    worker.wait_for(lambda found: found["results"] >= 402)
    results = results_by_key(scenario)
    assert all(
        found == sorted(found) and len(found) == 10
        for key, found in results.items()
        if key != "slow"
    )
    assert len(results) == 41
    letter = json.loads(scenario.read(".dlq")[0].value())
    assert letter[1] == "call_failed"
    assert "no network" in letter[2]
    assert worker.terminate() == 0
    calls = (scenario.directory / "calls.txt").read_text().splitlines()
    assert calls.count("bad 0") == 3, "attempts_max calls, then no more"
    assert len(calls) == 400 + 1 + 3, "a clean stop calls nothing twice"


def test_no_result_is_lost_by_kill_9(scenario: Scenario) -> None:
    keys = [f"k{number}" for number in range(100)]
    scenario.produce(commands(keys, 2000))
    doomed = scenario.start(CALL_SECONDS="0.05", **CALLS)
    doomed.wait_for(lambda found: found["results"] > 300)
    doomed.kill()
    new_owner = scenario.start(CALL_SECONDS="0.0", **CALLS)
    new_owner.wait_for(lambda found: found["ready"])
    wanted = {key: list(range(number, 2000, 100)) for number, key in enumerate(keys)}
    new_owner.wait_for(
        lambda found: {k: sorted(set(v)) for k, v in results_by_key(scenario).items()} == wanted
    )
    assert sum(map(len, results_by_key(scenario).values())) < 2600, "only what was open comes again"
