"""A payment's events packed into one value: a format for good, bounds that hold, lies that fail."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from schemas.codec import encode
from streams.domain import history_codec
from streams.domain.history_codec import HistoryMismatch, HistoryTooLarge, pack, unpack

CUT = "the history is cut off, too long, or followed by other bytes"


@pytest.fixture
def records(story: Any) -> list[bytes]:
    """The events of a captured payment as they stand on the topic."""
    story.captured()
    return [encode(event) for event in story.events]


def test_what_is_packed_comes_out_in_order(story: Any, records: list[bytes]) -> None:
    assert unpack(pack(records)) == story.events
    assert unpack(pack([])) == []


def test_the_format_is_four_bytes_of_length_before_each_event() -> None:
    assert zlib.decompress(pack([b"ab", b"", b"c" * 258])) == (
        b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x00" + b"\x00\x00\x01\x02" + b"c" * 258
    )


def test_a_history_of_another_release_is_read(story: Any, records: list[bytes]) -> None:
    joined = b"".join(len(record).to_bytes(4, "big") + record for record in records)
    assert unpack(zlib.compress(joined, level=1)) == story.events


def test_the_largest_packed_history_is_taken_and_one_byte_more_is_not(
    records: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(pack(records))
    monkeypatch.setattr(history_codec, "PACKED_BYTES_MAX", size)
    assert len(pack(records)) == size
    monkeypatch.setattr(history_codec, "PACKED_BYTES_MAX", size - 1)
    with pytest.raises(HistoryTooLarge, match=rf"^4 events take {size} bytes packed"):
        pack(records)


def test_the_largest_unpacked_history_is_taken_and_one_byte_more_is_not(
    records: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, size = pack(records), sum(4 + len(record) for record in records)
    monkeypatch.setattr(history_codec, "UNPACKED_BYTES_MAX", size)
    assert pack(records) == packed
    assert len(unpack(packed)) == 4
    monkeypatch.setattr(history_codec, "UNPACKED_BYTES_MAX", size - 1)
    with pytest.raises(HistoryTooLarge, match=rf"packed and {size} unpacked"):
        pack(records)
    with pytest.raises(HistoryMismatch, match=CUT):
        unpack(packed)


def test_a_command_without_a_history_is_refused() -> None:
    with pytest.raises(HistoryMismatch, match=r"^the command carries no history$"):
        unpack(None)


def test_a_history_that_is_cut_off_or_followed_by_more_is_refused(records: list[bytes]) -> None:
    packed = pack(records)
    for wrong in (b"", packed[:-1], packed[:9], packed + b"\x00", packed + packed):
        with pytest.raises(HistoryMismatch, match=rf"^{CUT}$"):
            unpack(wrong)


def test_bytes_that_are_no_zlib_are_refused() -> None:
    with pytest.raises(HistoryMismatch, match=r"^the history cannot be read: Error -3"):
        unpack(b"\x00\x01\x02")


def test_an_event_that_cannot_be_decoded_is_refused(records: list[bytes]) -> None:
    with pytest.raises(HistoryMismatch, match=r"^the history cannot be read: .*\w"):
        unpack(pack([*records, b"no event"]))


@pytest.mark.parametrize("missing", [1, 3])
def test_an_event_that_ends_too_early_is_refused(records: list[bytes], missing: int) -> None:
    joined = b"".join(len(record).to_bytes(4, "big") + record for record in records)
    with pytest.raises(HistoryMismatch, match=r"^the history ends in the middle of an event$"):
        unpack(zlib.compress(joined[:-missing]))


def test_a_length_without_its_event_is_refused(records: list[bytes]) -> None:
    joined = b"".join(len(record).to_bytes(4, "big") + record for record in records)
    for left in (b"\x00\x00\x00\x01", b"\x00\x00", b"\x00"):
        with pytest.raises(HistoryMismatch, match="in the middle of an event"):
            unpack(zlib.compress(joined + left))
