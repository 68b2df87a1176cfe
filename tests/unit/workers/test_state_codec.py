"""Values of tables: the version in front, older ones are read, newer ones end the worker."""

from __future__ import annotations

import msgspec
import pytest

from engine import UnreadableState
from sinks.payouts import state
from sinks.reconciliation.matching.state import Entry as MatchingEntry
from streams.domain.archive import ArchivedPayment
from streams.domain.state import PaymentState
from workers.state_codec import state_codec, version_of


class Part(msgspec.Struct, array_like=True):
    a: int


class Old(msgspec.Struct, array_like=True):
    parts: list[Part]
    name: str


class GrownPart(msgspec.Struct, array_like=True):
    a: int
    b: int = 7


class Grown(msgspec.Struct, array_like=True):
    parts: list[GrownPart]
    name: str


def codec_of(kind: type) -> tuple[object, object]:
    found = state_codec(
        "payments", kind, msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(kind).decode
    )
    return found["encode"], found["decode"]


def test_a_field_that_is_added_anywhere_raises_the_version() -> None:
    assert (version_of(Old), version_of(Grown)) == (3, 4)
    assert version_of(dict[str, Old | None]) == 3


@pytest.mark.parametrize("kind", [PaymentState, ArchivedPayment, state.Entry, MatchingEntry])
def test_every_table_s_type_has_a_version(kind: object) -> None:
    assert 5 < version_of(kind) < 65_536


def test_an_older_value_is_read_and_a_newer_one_is_refused() -> None:
    old_encode, old_decode = codec_of(Old)
    new_encode, new_decode = codec_of(Grown)
    old = Old([Part(1)], "n")
    assert old_decode(old_encode(old)) == old
    assert new_decode(old_encode(old)) == Grown([GrownPart(1, 7)], "n")
    assert new_decode(msgspec.msgpack.encode(old)) == Grown([GrownPart(1, 7)], "n")
    with pytest.raises(UnreadableState, match=r"payments has a value of version 4.*up to 3"):
        old_decode(new_encode(Grown([GrownPart(1, 2)], "n")))
