"""Poison, retries, restore, refusals: what an agent's author and an operator can rely on."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from stream.engine_harness import Scenario, check_exactly_once

pytestmark = pytest.mark.services
SHORT_SESSION = {"session_timeout_seconds": 3.0, "heartbeat_seconds": 0.5}


def test_failing_records_are_dead_letters_and_the_rest_is_processed(
    scenario: Scenario,
) -> None:
    scenario.load(300)
    scenario.produce([("k1", {"poison": True}), ("k2", b"not json"), ("k1", {"amount": 7})])
    scenario.produce([("k3", {"value_bytes": 2_000_000})])
    scenario.load(300)
    worker = scenario.start(DEAD_LETTERS=f"{scenario.name}.dlq")
    scenario.wait_done()
    report = worker.wait_for(lambda found: found["records"] == 604)
    assert report["dead_letters"] == 3
    assert report["aborts"] == 0
    letters = [json.loads(message.value()) for message in scenario.read(".dlq")]
    assert sorted(letter[3] for letter in letters) == ["handler_failed"] * 2 + ["undecodable"]
    assert any("ValueError: poison" in letter[4] for letter in letters)
    assert any("above record_bytes_max" in letter[4] for letter in letters)
    assert len(scenario.read(".out")) == 601


def test_the_dead_letter_limit_stops_the_worker_before_it_commits(scenario: Scenario) -> None:
    scenario.produce([("k1", {"poison": True})] * 200)
    worker = scenario.start(
        settings={"consecutive_dead_letters_max": 20}, DEAD_LETTERS=f"{scenario.name}.dlq"
    )
    assert worker.process.wait(40) == 1
    assert scenario.read(".dlq") == []
    assert sum(scenario.committed().values()) == 0
    assert "DeadLetterLimitExceeded" in scenario.logs()


def test_without_dead_letters_a_failure_ends_the_worker(scenario: Scenario) -> None:
    scenario.produce([("k1", {"amount": 1}), ("k1", {"poison": True})])
    worker = scenario.start()
    assert worker.process.wait(40) == 1
    assert scenario.read(".out") == []
    assert sum(scenario.committed().values()) == 0


def test_a_worker_that_is_up_for_a_month_stays_in_its_group(scenario: Scenario) -> None:
    """The group's client is never polled; it used to leave its group for that reason."""
    scenario.load(100)
    worker = scenario.start(settings=SHORT_SESSION, UPTIME=str(30 * 86_400))
    scenario.wait_done()
    time.sleep(SHORT_SESSION["session_timeout_seconds"] + 2)
    scenario.load(100)
    scenario.wait_done()
    report = worker.wait_for(lambda found: found["records"] == 200)
    assert (report["restores"], report["owned"]) == (1, 4)
    check_exactly_once(scenario)


def test_retry_delivers_the_batch_again_and_keeps_the_partitions(scenario: Scenario) -> None:
    down = scenario.directory / "store-is-down"
    down.touch()
    scenario.load(500)
    worker = scenario.start(settings=SHORT_SESSION, DEAD_LETTERS=f"{scenario.name}.dlq")
    worker.wait_for(lambda found: found["retries"] > 3)
    time.sleep(SHORT_SESSION["session_timeout_seconds"] + 1)
    report = worker.latest
    assert (report["transactions"], report["restores"], report["owned"]) == (0, 1, 4)
    down.unlink()
    scenario.wait_done()
    assert scenario.read(".dlq") == []
    check_exactly_once(scenario)


def test_sigterm_ends_a_retrying_worker(scenario: Scenario) -> None:
    (scenario.directory / "store-is-down").touch()
    scenario.load(10)
    worker = scenario.start()
    worker.wait_for(lambda found: found["retries"] > 1)
    assert worker.terminate(15) == 0


def test_sigterm_ends_a_worker_whose_agent_hangs(scenario: Scenario) -> None:
    scenario.produce([("k1", {"amount": 1}), ("k1", {"hang": True})])
    worker = scenario.start(settings={"drain_seconds": 1.0})
    worker.wait_ready()
    time.sleep(1)
    assert worker.terminate(15) == 0
    assert sum(scenario.committed().values()) == 0, "a batch is handled as a whole or not at all"


def test_restore_brings_back_entries_and_due_times(scenario: Scenario) -> None:
    now_ms = int(time.time() * 1000)
    scenario.load(1000, keys=50, due_ms=now_ms - 1)
    scenario.produce([("k1", {"amount": 1, "due_ms": None}), ("k2", {"amount": 1})])
    first = scenario.start()
    scenario.wait_done()
    before = first.wait_for(lambda found: found["entries"] == 50 and found["due"] == 48)
    first.kill()
    second = scenario.start()
    after = second.wait_for(lambda found: found["entries"] == 50)
    assert after["due"] == before["due"] == 48
    assert after["restored_records"] >= 50


def test_a_lost_changelog_is_refused(scenario: Scenario) -> None:
    """Deleted and created again empty, offsets kept: the worker must not run on an empty table."""
    scenario.load(500)
    first = scenario.start()
    scenario.wait_done()
    assert first.terminate() == 0
    admin = AdminClient({"bootstrap.servers": scenario.bootstrap})
    changelog = f"{scenario.name}-counts-changelog"
    admin.delete_topics([changelog])[changelog].result(20)
    time.sleep(1)
    admin.create_topics([NewTopic(changelog, 4, 1)])[changelog].result(20)
    scenario.load(10)
    refused = scenario.start(settings={"truncation_confirm_seconds": 1.0})
    assert refused.process.wait(40) == 1
    assert "allow_offset_rewind" in scenario.logs()
    scenario.start(settings={"truncation_confirm_seconds": 1.0, "allow_offset_rewind": True})
    scenario.wait_done()


def test_a_missing_topic_and_an_instance_id_in_use_are_named(scenario: Scenario) -> None:
    running = scenario.start()
    running.wait_ready()
    second = scenario.start()
    assert second.process.wait(40) == 1
    assert "another instance id" in scenario.logs()
    scenario.name += "-absent"
    absent = scenario.start(instance_id="absent", settings={"topic_wait_seconds": 0.5})
    assert absent.process.wait(40) == 1
    assert "Create the topic" in scenario.logs()
