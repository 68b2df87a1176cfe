from __future__ import annotations

import hashlib

import msgspec
import pytest
from fakes import FakeMessage

from engine.consumers.dead_letters import (
    DETAIL_CHARACTERS_MAX,
    DeadLetterLimit,
    DeadLetterReason,
    DeadLetters,
    RawRecord,
)
from engine.errors import DeadLetterLimitExceeded
from engine.record import Record


def limit() -> DeadLetterLimit:
    return DeadLetterLimit(window_records=100, ratio_max=0.25, run_max=10)


def test_a_few_failures_are_fine() -> None:
    state = limit()
    for _ in range(50):
        state = state.after([(True, 9), (False, 1)])
    assert state.after([(False, 8)]) is not state


def test_a_run_exceeds_it_across_transactions() -> None:
    state = limit().after([(True, 5), (False, 9)])
    with pytest.raises(DeadLetterLimitExceeded, match="10 records in a row"):
        state.after([(False, 1)])


def test_a_share_exceeds_it() -> None:
    state = limit().after([(True, 1), (False, 5)] * 5)
    with pytest.raises(DeadLetterLimitExceeded, match="26 of the last 100"):
        state.after([(True, 1), (False, 1)])


def test_old_failures_leave_the_window() -> None:
    state = limit().after([(True, 1), (False, 5)] * 5).after([(True, 96)])
    state = state.after([(False, 9), (True, 1)])
    assert state.after([(False, 9)]) is not None


def test_an_aborted_transaction_is_not_counted() -> None:
    state = limit()
    for _ in range(5):
        state.after([(False, 9)])
    assert state.after([(False, 9)]) is not None


def test_a_dead_letter_keeps_key_and_headers_and_bounds_the_detail() -> None:
    seen = []

    def encode(record: RawRecord, reason: str, detail: str, app: str) -> bytes:
        seen.append((record, reason, detail, app))
        return b"record_for"

    message = FakeMessage(7, b"raw", b"key", headers=[("traceparent", b"00-1")])
    record_for = DeadLetters("dead", encode, "app", 950_000).record_for(
        message, DeadLetterReason.UNDECODABLE, ValueError("x" * 9999)
    )
    assert (record_for.topic, record_for.key, record_for.value) == ("dead", b"key", b"record_for")
    assert record_for.headers == {}, "headers are in the value, once"
    record, reason, detail, app = seen[0]
    assert (record.offset, record.value, reason, app) == (7, b"raw", "undecodable", "app")
    assert record.headers == [("traceparent", b"00-1")]
    assert detail.startswith("ValueError: xxx")
    assert len(detail) == DETAIL_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("key", "kept"), [(b"k" * 1024, b"k" * 1024), (b"k" * 1025, None), (None, None)]
)
def test_a_letter_that_would_be_too_large_points_at_its_record(
    key: bytes | None, kept: bytes | None
) -> None:
    message = FakeMessage(7, b"v" * 900_000, key, headers=[("h", b"x" * 60_000), ("n", None)])

    def encode(record: RawRecord, reason: str, detail: str, app: str) -> bytes:
        return msgspec.msgpack.encode(record)

    letter = DeadLetters("dead", encode, "app", 950_000).record_for(
        message, DeadLetterReason.UNDECODABLE, ValueError("x")
    )
    assert letter.size_bytes() < 5_000
    assert letter.key == kept
    record = msgspec.msgpack.decode(letter.value or b"", type=RawRecord)
    assert (record.topic, record.partition, record.offset) == ("in", 0, 7)
    assert (record.key, record.value, record.headers) == (kept, None, [])
    assert record.omitted_bytes == 900_000 + 60_002 + len(key or b"")
    assert record.value_sha256 == hashlib.sha256(b"v" * 900_000).hexdigest()


def test_a_name_that_is_no_text_leaves_a_record_without_headers() -> None:
    class Strange(FakeMessage):
        """As confluent_kafka answers: SystemError once, then null pointers."""

        asked = 0

        def headers(self) -> list[tuple[str, bytes]] | None:
            Strange.asked += 1
            if Strange.asked == 1:
                raise SystemError("returned a result with an exception set")
            return super().headers()

        def set_headers(self, headers: list[tuple[str, bytes]]) -> None:
            self._parts = (*self._parts[:5], headers, self._parts[6])

    message = Strange(7, b"v", b"k", headers=[("lost", b"1")])
    assert Record(message, None).headers == {}
    assert RawRecord.of(message).headers == []
