"""An upgrade of Faust, aiokafka or librdkafka that breaks the engine fails here first."""

from __future__ import annotations

import pytest

from engine.errors import LibraryInternalsChanged
from engine.membership import library_internals


def test_everything_private_is_as_pinned() -> None:
    library_internals.check()


def test_group_metadata_bytes() -> None:
    generation = (7).to_bytes(4, "little")
    assert library_internals.group_metadata("g", 7, "m", None) == (
        b"CGMDv2:" + generation + b"g\0m\0\1"
    )
    assert library_internals.group_metadata("g", 7, "m", "i") == (
        b"CGMDv2:" + generation + b"g\0m\0\0i\0"
    )


def test_a_changed_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, _ = library_internals.OVERRIDDEN[0]
    monkeypatch.setattr(owner, name, lambda self, partitions, more: None)
    with pytest.raises(LibraryInternalsChanged, match=name):
        library_internals.check()


def test_changed_metadata_bytes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_internals, "METADATA_MAGIC", b"CGMDv3:")
    with pytest.raises(LibraryInternalsChanged, match="fencing"):
        library_internals.check()
