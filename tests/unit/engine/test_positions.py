from __future__ import annotations

from engine.positions import (
    CommitNote,
    changelog_headers,
    owner_from_headers,
    sources_from_headers,
)


def test_a_note_survives_the_commit_metadata() -> None:
    note = CommitNote("app-0", {"payments": 17, "a=b": 3}, 1_700_000_000_000)
    assert CommitNote.decode(note.encode()) == note
    assert CommitNote.decode(CommitNote("app-0", {}).encode()) == CommitNote("app-0", {})


def test_foreign_metadata_is_no_note() -> None:
    assert CommitNote.decode(None) is None
    assert CommitNote.decode("") is None
    assert CommitNote.decode("set by an operator") is None


def test_sources_survive_the_headers() -> None:
    sources = {"payments.commands": 12, "merchants.commands": 0}
    headers = [("traceparent", b"x"), *changelog_headers("app-3", sources)]
    assert sources_from_headers(headers) == sources
    assert sources_from_headers(None) == {}
    assert owner_from_headers(headers) == "app-3"
    assert owner_from_headers(None) is None
