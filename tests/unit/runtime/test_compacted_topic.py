"""A reader thread that fails: it starts again, is counted, and ends its process at its bound."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from runtime import compacted_topic
from runtime.compacted_topic import CompactedTopic, FollowLimits
from runtime.kafka_connection import KafkaConnection
from runtime.telemetry import counter

LIMITS = FollowLimits(failures_max=4, first_pause_seconds=0.001, pause_seconds_max=0.002)


def test_a_reader_that_always_fails_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_consumer(_: Any) -> Any:
        raise ValueError("no memory")

    given_up: list[str] = []
    ended = threading.Event()

    def give_up(reason: str) -> None:
        given_up.append(reason)
        ended.set()

    monkeypatch.setattr(compacted_topic, "Consumer", no_consumer)
    copy = CompactedTopic(
        KafkaConnection("127.0.0.1:9"), "t", "unit-reader", lambda *_: None, LIMITS, give_up
    )
    copy.start()
    assert ended.wait(10)
    copy.stop()
    assert given_up == [
        "The reader of t failed 4 times in a row: ValueError('no memory'). What this process knows"
        " of the topic is old. Restart it, and report the error if it stays."
    ]
    assert counter("paystream_thread_failures_total").labels("unit-reader")._value.get() == 4
    assert not copy.ready
