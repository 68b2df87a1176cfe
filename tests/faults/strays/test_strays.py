"""Strays of every kind through every topic of a whole stack, while a shop takes payments.

At the end every process is the one that started, every good payment is done, `verify` holds, and
each stray is in one dead letter of each worker that reads its topic, or in one rejection.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer
from strange_headers import send_with_raw_header_names
from stray_records import CLIENT_COMMAND_TOPICS, Stray, readers_of, strays

from devstack.services import kafka_jars
from devstack.services.child import Child, Launch
from devstack.traffic.drain import wait_until_drained
from devstack.traffic.runner import TrafficResult, TrafficSettings, run
from paystream.cli.environment import read_env_file
from runtime.kafka import producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.codec import decode
from schemas.records import DeadLetter, Rejection
from schemas.topics import (
    MERCHANTS_COMMANDS,
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_NETWORK_RESULTS,
    PAYMENTS_REJECTIONS,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(3_000)]
Place = tuple[str, int, int]
UNLIMITED = {
    # The limit ends a worker that makes dead letters of good records; here all of them are strays.
    "PAYSTREAM_ENGINE_CONSECUTIVE_DEAD_LETTERS_MAX": "1000000000",
    "PAYSTREAM_ENGINE_DEAD_LETTER_RATIO_MAX": "2",
}


class Stack(NamedTuple):
    """A running `paystream up`."""

    state_dir: Path
    env: dict[str, str]
    child: Child

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.state_dir / "processes.json").read_text())
        return found

    @property
    def kafka(self) -> KafkaConnection:
        return KafkaConnection(self.env["KAFKA_BOOTSTRAP_SERVERS"])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    kafka_jars.fetch()
    state_dir, env_file = tmp_path / "state", tmp_path / "stack.env"
    arguments = ("up", "--state-dir", str(state_dir), "--env-file", str(env_file))
    launch = Launch(
        name="up",
        command=(sys.executable, "-m", "paystream.cli", *arguments),
        log_path=tmp_path / "up.log",
        environment=UNLIMITED,
        ready=env_file.exists,
        ready_timeout_seconds=240,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        yield Stack(state_dir, read_env_file(env_file), child)
    finally:
        child.stop(30)


def test_a_few_strays_of_every_kind(stack: Stack, seed: int) -> None:
    _check(stack, seed, strays_count=800, payments=40)


@pytest.mark.slow
def test_ten_thousand_strays(stack: Stack, seed: int) -> None:
    _check(stack, seed, strays_count=10_000, payments=300)


def _check(stack: Stack, seed: int, strays_count: int, payments: int) -> None:
    print(f"seed {seed}: {strays_count} strays, {payments} payments")
    before = stack.pids()
    results: list[TrafficResult] = []
    shop = threading.Thread(
        target=lambda: results.append(
            run(stack.env, TrafficSettings(payments=payments, rate=5, seed=seed))
        )
    )
    shop.start()
    written = _send(stack, seed, strays_count)
    shop.join(600)
    assert results, "the traffic has not ended"
    assert results[0].problem_count == 0, results[0].problems
    wait_until_drained(stack.env, 600)
    assert stack.pids() == before, "every process is the one that started"
    _each_is_kept_once(stack, written)
    verified = subprocess.run(
        [sys.executable, "-m", "paystream.cli", "verify"],
        env={**os.environ, **stack.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _send(stack: Stack, seed: int, count: int) -> dict[Place, Stray]:
    written: dict[Place, Stray] = {}
    producer = Producer(producer_settings(stack.kafka))

    def note(stray: Stray) -> Any:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, (error, stray.kind, stray.topic)
            written[message.topic(), message.partition(), message.offset()] = stray

        return delivered

    for number, stray in enumerate(strays(seed, count)):
        producer.produce(
            stray.topic,
            stray.value,
            stray.key,
            stray.partition,
            on_delivery=note(stray),
            headers=stray.headers,
        )
        if number % 200 == 0:
            producer.flush(60)  # between the payments, not all before them
    assert producer.flush(60) == 0
    for topic in (MERCHANTS_COMMANDS, PAYMENTS_NETWORK_RESULTS, *CLIENT_COMMAND_TOPICS):
        headers = [(b"caf\xe9", b"1"), (b"traceparent", b"x")]
        stray = Stray("header name", topic, b"k", b"\xfe", [], 3)
        offset = send_with_raw_header_names(
            stack.env["KAFKA_BOOTSTRAP_SERVERS"], topic, b"k", stray.value, headers, 3
        )
        written[topic, 3, offset] = stray
    assert len(written) == count + 4
    return written


def _each_is_kept_once(stack: Stack, written: dict[Place, Stray]) -> None:
    kept: Counter[tuple[Place, str]] = Counter()
    for stored in read_topic(stack.kafka, PAYMENTS_DEAD_LETTERS):
        place = (stored.topic, stored.partition, stored.offset)
        if place in written:
            continue
        letter = decode(DeadLetter, stored.value or b"")
        kept[(letter.topic, letter.partition, letter.offset), letter.source_app] += 1
    for stored in read_topic(stack.kafka, PAYMENTS_REJECTIONS):
        if (stored.topic, stored.partition, stored.offset) in written:
            continue
        refused = decode(Rejection, stored.value or b"")
        kept[(refused.topic, refused.partition, refused.offset), "streams-payments"] += 1
    wanted = Counter(
        {(place, group): 1 for place, stray in written.items() for group in readers_of(stray.topic)}
    )
    strange = {key: count for key, count in kept.items() if key not in wanted}
    assert not strange, f"letters about good records: {list(strange.items())[:5]}"
    wrong = [
        (key, written[key[0]].kind, kept.get(key, 0)) for key in wanted if kept.get(key, 0) != 1
    ]
    assert not wrong, f"{len(wanted)} are to be kept once, {len(wrong)} are not: {wrong[:10]}"
