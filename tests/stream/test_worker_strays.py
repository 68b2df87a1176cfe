"""Records that no worker can take: each becomes one dead letter, and the worker goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from polling import eventually
from sink_worker import publish, stored, worker
from strange_headers import send_with_raw_header_names

from paystream.operations.topics import create_all
from runtime.dead_letters import source_headers
from runtime.kafka import producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.partitioning import partition_of
from schemas.records import DeadLetter, MerchantCommand, MerchantEvent
from schemas.registry import contracts
from schemas.topics import (
    MERCHANTS_COMMANDS,
    MERCHANTS_EVENTS,
    PAYMENTS_DEAD_LETTERS,
    TOPICS,
)

pytestmark = pytest.mark.services
GARBAGE = b"\x00\x00\x00\x00\x06garbage"


def register(merchant_id: str) -> MerchantCommand:
    return MerchantCommand(
        command_id=f"cmd_{merchant_id}",
        merchant_id=merchant_id,
        kind="register",
        fingerprint="register",
        issued_at_ms=1001,
        source="api",
        name="Shop",
    )


def letters_about(broker: str, offsets: dict[tuple[int, int], Any]) -> list[DeadLetter]:
    return stored(
        broker,
        PAYMENTS_DEAD_LETTERS,
        DeadLetter,
        lambda d: d.topic == MERCHANTS_COMMANDS and (d.partition, d.offset) in offsets,
    )


def send(broker: str, **record: Any) -> tuple[int, int]:
    """Where the record stands; compressed, so that a topic takes a value of many zeros."""
    written: list[Any] = []
    settings = producer_settings(KafkaConnection(broker)) | {"message.max.bytes": 20_000_000}
    producer = Producer(settings)
    producer.produce(
        MERCHANTS_COMMANDS, on_delivery=lambda error, message: written.append(message), **record
    )
    assert producer.flush(20) == 0
    return written[0].partition(), written[0].offset()


def test_every_stray_is_one_dead_letter_and_what_follows_is_done(
    kafka_broker: str, tmp_path: Path, unique_name: Callable[[str], str]
) -> None:
    create_all(KafkaConnection(kafka_broker))
    good = unique_name("mer")
    partition = partition_of(good, TOPICS[MERCHANTS_COMMANDS].partitions)
    strays: list[dict[str, Any]] = [
        {"key": good, "value": GARBAGE, "headers": [("twice", b"1"), ("twice", None)]},
        {"key": good, "value": None, "headers": [("n", b"\xff")] * 3_000},
        {"key": good, "value": b""},
        {"key": None, "value": GARBAGE, "partition": partition},
        {"key": b"\x80\xff", "value": GARBAGE, "partition": partition},
        {"key": good, "value": bytes(range(256)) * 3_515, "headers": [("h", b"x" * 60_000)]},
        {"key": good, "value": bytes(5_000_000)},
        {"key": b"k" * 400_000, "value": GARBAGE, "partition": partition},
    ]
    sent = {send(kafka_broker, **stray): stray for stray in strays}
    bad_name = send_with_raw_header_names(
        kafka_broker, MERCHANTS_COMMANDS, good.encode(), GARBAGE, [(b"caf\xe9", b"1")], partition
    )
    sent[partition, bad_name] = {"key": good, "value": GARBAGE}
    with worker("merchants", kafka_broker, tmp_path, {}) as process:
        publish(kafka_broker, MERCHANTS_COMMANDS, good, register(good))
        eventually(
            lambda: stored(
                kafka_broker, MERCHANTS_EVENTS, MerchantEvent, lambda e: e.merchant_id == good
            ),
            "the registration behind the strays",
        )
        assert process.stop(30) == 0
    letters = letters_about(kafka_broker, sent)
    assert len(letters) == len(sent)
    for letter in letters:
        check(letter, sent[letter.partition, letter.offset])


def check(letter: DeadLetter, stray: dict[str, Any]) -> None:
    """Byte for byte, or a pointer at the record."""
    assert letter.reason_code == "undecodable"
    value, key = stray["value"], stray["key"]
    if letter.omitted_bytes is not None:
        assert letter.omitted_bytes > 400_000
        assert letter.value is None
        assert letter.value_sha256 == hashlib.sha256(value).hexdigest()
        return
    assert letter.value == value
    assert letter.source_key == (key.encode() if isinstance(key, str) else key)
    assert source_headers(letter) == stray.get("headers", [])


def test_a_worker_waits_before_a_record_of_a_newer_release(
    kafka_broker: str, tmp_path: Path, unique_name: Callable[[str], str]
) -> None:
    create_all(KafkaConnection(kafka_broker))
    merchant_id = unique_name("mer")
    newer = b"\x00" + (max(contracts()) + 1).to_bytes(4, "big") + b"newer"
    place = send(kafka_broker, key=merchant_id, value=newer)
    publish(kafka_broker, MERCHANTS_COMMANDS, merchant_id, register(merchant_id))
    topic = TOPICS[MERCHANTS_EVENTS].name

    def done() -> bool:
        records = read_topic(KafkaConnection(kafka_broker), topic)
        return any(record.key == merchant_id for record in records)

    log = tmp_path / "merchants.log"
    with worker("merchants", kafka_broker, tmp_path, {}) as process:
        eventually(lambda: "is a record of a newer release" in log.read_text(), "the sentence")
        assert process.stop(30) == 0
    assert not done()
    assert letters_about(kafka_broker, {place: None}) == []
    skip = {"PAYSTREAM_WORKER_UNKNOWN_SCHEMA": "dead_letter"}
    with worker("merchants", kafka_broker, tmp_path, skip):
        eventually(done, "the registration behind it")
    assert len(letters_about(kafka_broker, {place: None})) == 1
