"""Agents that take whole cycles: one batch over all partitions, one transaction for all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stream.engine_harness import Scenario, Worker

pytestmark = pytest.mark.services


def start(scenario: Scenario, **settings: Any) -> Worker:
    return scenario.start(settings=settings, MODULE="stream.merged_partitions_app")


def batches(scenario: Scenario) -> list[tuple[list[int], int]]:
    path = scenario.directory / "batches.jsonl"
    if not path.exists():
        return []
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]


def check_each_once(scenario: Scenario, poison: int = 0) -> None:
    expected = {}
    for message in scenario.read(".in"):
        command = json.loads(message.value())
        if not command.get("poison"):
            place = [message.partition(), message.offset()]
            expected[tuple(place)] = [message.key().decode(), command["amount"], *place]
    found = [json.loads(message.value()) for message in scenario.read(".out")]
    assert len(found) == len(expected)
    assert {tuple(event[2:]): event for event in found} == expected
    assert sum(scenario.committed().values()) == len(expected) + poison


def test_a_cycle_is_one_batch_and_a_linger_fills_it(scenario: Scenario) -> None:
    scenario.load(4)
    worker = start(scenario, batch_linger_seconds=2.0)
    scenario.wait_done()  # all partitions are its own
    scenario.load(2000)
    scenario.wait_done()
    assert any(partitions == [0, 1, 2, 3] for partitions, _ in batches(scenario))
    assert sum(count for _, count in batches(scenario)) == 2004
    report = worker.wait_for(lambda found: found["records"] == 2004)
    assert report["transactions"] == len(batches(scenario)) <= 6
    check_each_once(scenario)


def test_a_failing_record_is_isolated_across_partitions(scenario: Scenario) -> None:
    scenario.load(500)
    scenario.produce([("k1", {"poison": True}), ("k2", {"poison": True})])
    scenario.load(500)
    worker = start(scenario, batch_linger_seconds=0.3)
    scenario.wait_done()
    assert worker.wait_for(lambda found: found["records"] == 1002)["dead_letters"] == 2
    letters = [json.loads(message.value()) for message in scenario.read(".dlq")]
    assert [letter[2] for letter in letters] == ["handler_failed"] * 2
    assert len(batches(scenario)) < 60, "halves, not one by one"
    check_each_once(scenario, poison=2)


def test_a_retry_commits_nothing_and_kill_9_repeats_the_whole(scenario: Scenario) -> None:
    down = scenario.directory / "store-is-down"
    down.touch()
    scenario.load(1000)
    worker = start(scenario)
    worker.wait_for(lambda found: found["retries"] > 2)
    assert sum(scenario.committed().values()) == 0
    (scenario.directory / "kill-after-a-batch").touch()
    down.unlink()
    assert worker.process.wait(40) == -9
    assert sum(scenario.committed().values()) == 0
    start(scenario)
    scenario.wait_done()
    check_each_once(scenario)


def test_a_table_with_it_ends_the_worker_and_says_why(scenario: Scenario) -> None:
    scenario.produce([("k1", {"amount": 1}), ("k1", {"table": True, "amount": 1})])
    worker = start(scenario)
    assert worker.process.wait(40) == 1
    assert "AgentUsageError" in scenario.logs()
    assert "remove merge_partitions" in scenario.logs()
    assert scenario.read(".dlq") == []
