"""The signed chain over whole segments, with a sink that is killed and made to read again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from contract.ledger_scenario import a_day_at_the_shop
from stream.audit_harness import AuditStack, another_shop

from schemas.codec import encode
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.chain.chain import SEGMENT_OFFSETS

pytestmark = pytest.mark.services

SEGMENTS = 3
STORED = """
SELECT segment, first_offset, end_offset, records, previous, value, signature
FROM paystream.ledger_checkpoints ORDER BY segment
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[AuditStack]:
    made = AuditStack(tmp_path)
    yield made
    made.stop()


def fill_segments(stack: AuditStack) -> None:
    """One partition with three whole segments and a beginning of the fourth."""
    day, number = a_day_at_the_shop(), 0
    producer = Producer({"bootstrap.servers": stack.bootstrap, "acks": "all"})
    while stack.produced < SEGMENTS * SEGMENT_OFFSETS + 100:
        number += 1
        for event in another_shop(day, number).payments:
            producer.produce(PAYMENTS_EVENTS, encode(event), partition=0)
            producer.poll(0)
            stack.produced += 1
    assert producer.flush(30) == 0


def test_kills_and_a_replay_lead_to_the_same_chain(stack: AuditStack) -> None:
    stack.start_clickhouse()
    fill_segments(stack)
    cycle: dict[str, Any] = {"PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX": "1500"}
    stack.start_worker(FAIL_POINT="before_commit:4", **cycle)
    assert stack.wait_killed() == -signal.SIGKILL
    stack.start_worker(FAIL_POINT="before_commit:3", **cycle)
    assert stack.wait_killed() == -signal.SIGKILL
    stack.start_worker(**cycle)
    stack.wait_committed()
    assert stack.check_chain() > stack.produced
    first = stack.ask(STORED)
    assert [row[0] for row in first] == list(range(SEGMENTS + 1))
    assert stack.stop_worker() == 0
    stack.rewind()
    stack.start_worker(PAYSTREAM_AUDIT_CYCLE_RECORDS_MAX="5000")
    stack.wait_committed()
    stack.check_chain()
    assert stack.ask(STORED) == first
