from __future__ import annotations

from engine.transactions.offset_metadata import (
    OffsetMetadata,
    changelog_headers,
    owner_from_headers,
    sources_from_headers,
)


def test_a_note_survives_the_commit_metadata() -> None:
    note = OffsetMetadata("app-0", {"payments": 17, "a=b": 3}, 1_700_000_000_000)
    assert OffsetMetadata.decode(note.encode()) == note
    assert OffsetMetadata.decode(OffsetMetadata("app-0", {}).encode()) == OffsetMetadata(
        "app-0", {}
    )


def test_foreign_metadata_is_no_note() -> None:
    assert OffsetMetadata.decode(None) is None
    assert OffsetMetadata.decode("") is None
    assert OffsetMetadata.decode("set by an operator") is None


def test_sources_survive_the_headers() -> None:
    sources = {"payments.commands": 12, "merchants.commands": 0}
    headers = [("traceparent", b"x"), *changelog_headers("app-3", sources)]
    assert sources_from_headers(headers) == sources
    assert sources_from_headers([]) == {}
    assert sources_from_headers([(headers[-1][0], b"many"), (headers[-1][0], None)]) == {}
    assert owner_from_headers(headers) == "app-3"
    assert owner_from_headers([]) is None
