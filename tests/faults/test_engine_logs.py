"""Logs that lost something, or are long: refused clearly, or read at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from fault_cluster import Figures
from stream.engine_harness import FAST_SESSION, WAIT_SECONDS, Scenario, check_exactly_once

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]
REWIND = {"allow_offset_rewind": True, "truncation_confirm_seconds": 1.0}


def set_offsets(scenario: Scenario, offsets: dict[int, int]) -> None:
    """As an operator would, with no member in the group."""
    places = [TopicPartition(f"{scenario.name}.in", n, offsets[n]) for n in offsets]
    admin = AdminClient({"bootstrap.servers": scenario.bootstrap})
    asked = [ConsumerGroupTopicPartitions(scenario.name, places)]
    for answer in admin.alter_consumer_group_offsets(asked).values():
        answer.result(20)


def stop_and_leave(scenario: Scenario) -> None:
    """A static member stays in its group until its session ends."""
    assert scenario.workers[-1].terminate() == 0
    time.sleep(FAST_SESSION["session_timeout_seconds"] + 2)


def test_committed_offsets_below_the_start_of_the_log(single: Scenario) -> None:
    """Retention was shorter than the time the app was down: no record is jumped over silently."""
    single.load(1000)
    single.start(settings=FAST_SESSION)
    single.wait_done()
    stop_and_leave(single)
    single.load(1000)
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    ends = [TopicPartition(f"{single.name}.in", n, -1) for n in range(single.partitions)]
    starts = {
        place.partition: answer.result(20).low_watermark
        for place, answer in admin.delete_records(ends).items()
    }
    before = single.committed()
    single.load(100)
    refused = single.start(settings=FAST_SESSION)
    assert refused.process.wait(WAIT_SECONDS) == 1
    log = (single.directory / "worker-0.log").read_text()
    assert "out of the log's range" in log
    assert "allow_offset_rewind" in log
    assert single.committed() == before
    time.sleep(FAST_SESSION["session_timeout_seconds"] + 2)
    set_offsets(single, starts)
    worker = single.start(settings=FAST_SESSION | REWIND)
    worker.wait_for(lambda report: report["records"] == 100)


def test_offsets_that_were_set_back(single: Scenario) -> None:
    """The table reflects more than is committed: refused, unless it is on purpose."""
    single.load(1000)
    single.start(settings=FAST_SESSION)
    single.wait_done()
    stop_and_leave(single)
    set_offsets(single, dict.fromkeys(range(single.partitions), 10))
    refused = single.start(settings=FAST_SESSION | {"truncation_confirm_seconds": 1.0})
    assert refused.process.wait(WAIT_SECONDS) == 1
    assert "the log lost data or was rewound" in single.logs()
    worker = single.start(settings=FAST_SESSION | REWIND)
    worker.wait_for(lambda report: report["records"] == 1000 - 4 * 10)


def compacting_changelog(scenario: Scenario) -> None:
    """Small segments, cleaned at once: compaction runs while workers restore."""
    settings = {
        "cleanup.policy": "compact",
        "segment.ms": "1000",
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "1000",
        "delete.retention.ms": "1000",
    }
    name = f"{scenario.name}-counts-changelog"
    admin = AdminClient({"bootstrap.servers": scenario.bootstrap})
    topic = NewTopic(name, scenario.partitions, 1, config=settings)
    admin.create_topics([topic])[name].result(20)


def test_compaction_while_it_restores(single: Scenario) -> None:
    compacting_changelog(single)
    settings: dict[str, Any] = FAST_SESSION | {"batch_records_max": 50}
    worker = single.start(settings=settings)
    for _ in range(10):
        single.load(500, keys=100)
        single.wait_done()
        time.sleep(1.1)
    worker.kill()
    slow = single.start(settings=settings, SLOW_RESTORE="1.5")
    report = slow.wait_for(lambda found: found["ready"], timeout_seconds=180)
    assert report["entries"] == 100
    changelog = single.read("-counts-changelog", "read_uncommitted")
    assert len(changelog) < 5000 * 0.5, "nothing was compacted: the test shows nothing"
    single.load(500, keys=100)
    single.wait_done()
    slow.kill()
    single.start(settings=settings).wait_for(lambda found: found["entries"] == 100)
    check_exactly_once(single)


def test_a_million_keys(single: Scenario, figures: Figures) -> None:
    """How long a new worker takes to read them; the figure is the result."""
    producer = Producer(
        {
            "bootstrap.servers": single.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    single.start(instance_id="maker").wait_ready()
    assert single.workers[-1].terminate() == 0
    value = b'{"count":1,"sum":500,"due_ms":null}'
    for number in range(1_000_000):
        producer.produce(f"{single.name}-counts-changelog", value, f"key-{number:07d}")
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0
    worker = single.start()
    report = worker.wait_for(lambda found: found["ready"], timeout_seconds=120)
    assert report["entries"] == report["restored_records"] == 1_000_000
    seconds = (single.directory / "worker-0.log").read_text().rpartition("restored in ")[2]
    figures.add("restore of 1,000,000 keys", seconds=float(seconds.split()[0]))
