"""Dead letters of a real worker: listed, shown, replayed, dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from polling import eventually
from sink_worker import worker

from paystream.operations.dead_letters import DecisionFailed, Letter, drop, letters, replay
from paystream.operations.topics import create_all
from runtime.dead_letters import source_headers
from runtime.kafka import StoredRecord, producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.topics import PAYMENTS_DEAD_LETTERS, PAYMENTS_EVENTS, PAYMENTS_NETWORK_RESULTS

pytestmark = pytest.mark.services
POISON = b"\x00\x00\x00\x00\x06not a command"


@pytest.fixture
def broker(kafka_broker: str) -> str:
    create_all(KafkaConnection(kafka_broker))
    return kafka_broker


def send_poison(broker: str, key: str) -> None:
    producer = Producer(producer_settings(KafkaConnection(broker)))
    producer.produce(PAYMENTS_NETWORK_RESULTS, POISON, key, headers={"traceparent": b"00-1"})
    assert producer.flush(20) == 0


def letters_of(broker: str, key: str) -> list[Letter]:
    return [letter for letter in letters(KafkaConnection(broker)) if letter.key == key]


def commands_of(broker: str, key: str) -> list[StoredRecord]:
    return [
        record
        for record in read_topic(KafkaConnection(broker), PAYMENTS_NETWORK_RESULTS)
        if record.key == key
    ]


def cli(broker: str, *arguments: str) -> Any:
    """What `paystream dead-letters … --json` prints."""
    command = [sys.executable, "-m", "paystream.cli", "dead-letters", *arguments, "--json"]
    env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": broker}
    ended = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


def listed(broker: str, key: str, *more: str) -> list[str]:
    return [row["id"] for row in cli(broker, "list", *more) if row["key"] == key]


def test_a_failing_command_is_listed_shown_replayed_and_dropped(
    broker: str, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    key = unique_name("pay")
    with worker("payments", broker, tmp_path, {}):
        send_poison(broker, key)
        [first] = eventually(lambda: letters_of(broker, key), "a dead letter")
        [shown] = cli(broker, "show", first.letter_id)
        assert (shown["reason"], shown["value_hex"]) == ("undecodable", POISON.hex())
        assert "undecodable" in shown["decoded"]
        assert shown["headers"]["traceparent"] == "00-1"
        assert listed(broker, key) == [first.letter_id]

        [decided] = cli(broker, "replay", first.letter_id, "--note", "mended")
        assert decided["decision"] == "replayed"
        [original, again] = commands_of(broker, key)
        assert (again.value, again.partition) == (POISON, original.partition)
        assert again.headers == original.headers | {"replayed_from": first.source.encode()}
        eventually(lambda: len(letters_of(broker, key)) == 2, "the copy's dead letter")
    [second] = [letter for letter in letters_of(broker, key) if letter.decision is None]
    assert listed(broker, key) == [second.letter_id]
    drop(KafkaConnection(broker), [second.letter_id], "a test sent it")
    assert listed(broker, key) == []
    decisions = {row["id"]: row["decision"] for row in cli(broker, "list", "--all")}
    assert decisions[first.letter_id] == "replayed"
    assert decisions[second.letter_id] == "dropped"
    with pytest.raises(DecisionFailed, match="was replayed before"):
        replay(KafkaConnection(broker), [first.letter_id])
    assert len(commands_of(broker, key)) == 2


def test_a_replay_reaches_only_the_worker_whose_letter_it_is(
    broker: str, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    key = unique_name("pay")
    bank = {"BANK_URL": "http://127.0.0.1:9"}

    def letters_by_app() -> dict[str, list[Letter]]:
        found: dict[str, list[Letter]] = {}
        for letter in letters_of(broker, key):
            found.setdefault(letter.record.source_app, []).append(letter)
        return found

    def events() -> int:
        records = read_topic(KafkaConnection(broker), PAYMENTS_EVENTS)
        return sum(1 for record in records if record.key == key)

    with (
        worker("payouts", broker, tmp_path, bank) as payouts,
        worker("webhooks", broker, tmp_path, {}) as webhooks,
    ):
        producer = Producer(producer_settings(KafkaConnection(broker)))
        headers = [("h", b"\xff"), ("h", None)]
        producer.produce(PAYMENTS_EVENTS, None, key, headers=headers)
        assert producer.flush(20) == 0
        eventually(lambda: len(letters_by_app()) == 2, "a letter of both workers")
        [mine] = letters_by_app()["sinks-payouts"]
        replay(KafkaConnection(broker), [mine.letter_id], "mended")
        eventually(lambda: len(letters_by_app()["sinks-payouts"]) == 2, "the letter of the replay")
        assert (payouts.stop(30), webhooks.stop(30)) == (0, 0)
    again = letters_by_app()
    assert len(again["sinks-webhooks"]) == 1
    assert events() == 1, "no reader of payments.events sees a second copy"
    first, second = (letter.record for letter in again["sinks-payouts"])
    assert (second.value, second.source_key) == (None, key.encode())
    assert source_headers(second) == headers
    assert (second.topic, second.partition, second.offset) == (
        first.topic,
        first.partition,
        first.offset,
    )


def test_a_letter_that_points_at_its_record_is_replayed_whole(
    broker: str, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    key, value = unique_name("pay"), POISON + bytes(range(256)) * 3_600
    with worker("payments", broker, tmp_path, {}):
        producer = Producer(producer_settings(KafkaConnection(broker)))
        producer.produce(PAYMENTS_NETWORK_RESULTS, value, key, headers={"h": b"x" * 30_000})
        assert producer.flush(20) == 0
        [letter] = eventually(lambda: letters_of(broker, key), "a dead letter")
        assert (letter.record.value, letter.record.source_key) == (None, key.encode())
        replay(KafkaConnection(broker), [letter.letter_id])
    first, again = commands_of(broker, key)
    assert (again.value, again.partition) == (value, first.partition)
    assert again.headers == first.headers | {"replayed_from": letter.source.encode()}


def test_one_letter_that_cannot_be_decided_leaves_the_others_alone(
    broker: str, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    key = unique_name("pay")
    with worker("payments", broker, tmp_path, {}):
        send_poison(broker, key)
        [letter] = eventually(lambda: letters_of(broker, key), "a dead letter")
    before = sum(1 for _ in read_topic(KafkaConnection(broker), PAYMENTS_DEAD_LETTERS))
    with pytest.raises(DecisionFailed, match="see `dead-letters list`"):
        replay(KafkaConnection(broker), [letter.letter_id, "0-999999"])
    assert sum(1 for _ in read_topic(KafkaConnection(broker), PAYMENTS_DEAD_LETTERS)) == before
    assert len(commands_of(broker, key)) == 1
