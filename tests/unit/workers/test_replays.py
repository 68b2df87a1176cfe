"""Who takes replays, and of what: nobody speaks for the card network by them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.codec import encode
from schemas.records import DeadLetter, SourceHeader
from schemas.topics import PAYMENT_COMMAND_TOPICS, PAYMENTS_EVENTS, PAYMENTS_REPLAYS, TOPICS
from workers.catalogue import WORKERS
from workers.replays import comes_back_by_replay, decode_replay, takes_replays


def letter(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "source_app": "sinks-payouts",
        "topic": PAYMENTS_EVENTS,
        "partition": 3,
        "offset": 7,
        "reason_code": "undecodable",
        "detail": "",
        "headers": {},
        "value": None,
        "failed_at_ms": 1,
        "source_key": b"\xff",
        "source_headers": [SourceHeader(name="h", value=None), SourceHeader(name="h", value=b"")],
    }
    return encode(DeadLetter(**(fields | changes)))


def test_a_letter_comes_back_as_it_was() -> None:
    replay = decode_replay(letter())
    assert (replay.app_id, replay.record.topic) == ("sinks-payouts", PAYMENTS_EVENTS)
    assert (replay.record.partition, replay.record.offset) == (3, 7)
    assert (replay.record.key, replay.record.value) == (b"\xff", None)
    assert replay.record.headers == [("h", None), ("h", b"")]


def test_a_letter_of_version_1_keeps_its_key_and_headers() -> None:
    old = letter(key="pay_1", source_key=None, source_headers=[], headers={"h": b"1"}, value=b"v")
    record = decode_replay(old).record
    assert (record.key, record.headers, record.value) == (b"pay_1", [("h", b"1")], b"v")


@pytest.mark.parametrize("topic", [*PAYMENT_COMMAND_TOPICS, "merchants.commands", "nowhere"])
def test_no_command_comes_by_a_replay(topic: str) -> None:
    for worker in WORKERS.values():
        with pytest.raises(ValueError, match="is no replay"):
            decode_replay(letter(topic=topic, source_app=worker.group))


def test_only_workers_that_share_a_topic_read_replays() -> None:
    readers = {worker.group for worker in WORKERS.values() if takes_replays(worker.group)}
    assert readers == set(TOPICS[PAYMENTS_REPLAYS].readers)
    assert "streams-payments" not in readers
    assert not comes_back_by_replay(PAYMENTS_EVENTS, "streams-payments"), "it does not read it"


def test_a_pointer_is_no_replay() -> None:
    with pytest.raises(ValueError, match="points at its record"):
        decode_replay(letter(omitted_bytes=5))
