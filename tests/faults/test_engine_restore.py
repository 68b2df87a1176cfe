"""Restores that are disturbed: the changelog's leader dies in the middle of one."""

from __future__ import annotations

import time

import pytest
from confluent_kafka.admin import AdminClient
from fault_cluster import Cluster, Figures
from stream.engine_harness import FAST_SESSION, Scenario, Worker, check_exactly_once

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]
KEYS = 6000


def leaders_of_the_changelog(replicated: Scenario) -> list[int]:
    """Per partition, numbered as `Cluster.brokers` is."""
    topic = f"{replicated.name}-counts-changelog"
    found = AdminClient({"bootstrap.servers": replicated.bootstrap}).list_topics(topic, 20)
    return [part.leader - 1 for _, part in sorted(found.topics[topic].partitions.items())]


def restoring(replicated: Scenario, instance_id: str) -> Worker:
    """A worker some way into a slow restore."""
    worker = replicated.start(instance_id, FAST_SESSION, SLOW_RESTORE="0.5")
    log = replicated.directory / f"worker-{instance_id}.log"
    worker.wait_for_line(log, "records read,")
    assert not worker.latest.get("ready"), "the restore was over before its leader died"
    return worker


def test_the_changelog_leader_dies_in_the_middle_of_a_restore(
    cluster: Cluster, replicated: Scenario, figures: Figures
) -> None:
    """The restore goes on at the next leader where it was: nothing is missing or taken twice."""
    replicated.load(KEYS * 2, keys=KEYS)
    maker = replicated.start("maker", FAST_SESSION)
    replicated.wait_done(120)
    assert maker.terminate() == 0
    known = len(replicated.keys)
    worker = restoring(replicated, "new-owner")
    leader = leaders_of_the_changelog(replicated)[0]
    print("schedule: kill broker", leader, "which leads the changelog", flush=True)
    began = time.monotonic()
    cluster.kill(leader)
    report = worker.wait_for(
        lambda found: found["ready"] and found["owned"] == 4, timeout_seconds=180
    )
    figures.add("changelog leader killed in a restore", ready_seconds=time.monotonic() - began)
    assert report["entries"] == known
    cluster.restart(leader)
    replicated.load(500, keys=KEYS)
    replicated.wait_done(120)
    check_exactly_once(replicated)


def test_a_rebalance_reads_only_what_is_new(single: Scenario) -> None:
    """Partitions that stay are read from where they were; those that come back, in full."""
    single.load(4000, keys=1000)
    first = single.start("a", FAST_SESSION)
    single.wait_done()
    known = first.wait_for(lambda report: report["entries"] == len(single.keys))["entries"]
    assert first.latest["restored_records"] == 0
    second = single.start("b", FAST_SESSION)
    share = second.wait_for(lambda report: report["ready"] and report["owned"] == 2)
    first.wait_for(lambda report: report["ready"] and report["owned"] == 2)
    assert share["restored_records"] >= share["entries"] > 0
    assert first.latest["restored_records"] == 0, "what it kept was read again"
    assert second.terminate() == 0
    first.wait_for(lambda report: report["ready"] and report["owned"] == 4)
    back = first.wait_for(lambda report: report["entries"] == known)["restored_records"]
    assert back >= share["entries"], "what had gone away was not read again"
    single.load(500)
    single.wait_done()
    check_exactly_once(single)


def test_a_state_older_than_deleted_tombstones_is_rebuilt(single: Scenario) -> None:
    """Half of `delete_retention_seconds` without a read of the log: no delta, all is read."""
    settings = FAST_SESSION | {"delete_retention_seconds": 2.0}
    single.load(2000, keys=500)
    first = single.start("a", settings)
    single.wait_done()
    first.wait_for(lambda report: report["entries"] == len(single.keys))
    time.sleep(3)
    second = single.start("b", settings)
    second.wait_for(lambda report: report["ready"] and report["owned"] == 2)
    kept = first.wait_for(
        lambda report: report["ready"] and report["owned"] == 2 and report["restores"] == 2
    )
    assert kept["restored_records"] >= kept["entries"] > 0, "an old state was believed"
    single.load(500)
    single.wait_done()
    check_exactly_once(single)
