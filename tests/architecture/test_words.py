"""Names and sentences use the field's words; retired ones do not come back (docs/glossary.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT, modules, pages, strings, tree

RETIRED_NAMES = {
    "slot": "instance id, position or permit",
    "lane": "parallel consumer",
    "errand": "in-flight record",
    "fuse": "dead-letter limit",
    "poison": "dead letter",
    "unmarked": "hanging transaction",
    "undecided": "unstable",
    "ownership": "assignment",
    "outgoing": "producer record",
    "echo": "system command",
    "echoes": "system commands",
    "marker": "archived payment, or Kafka's transaction marker",
    "heir": "new owner",
    "tether": "die with parent",
    "undertaker": "reaper",
    "burial": "reaper",
    "bury": "dead-letter or reap",
    "climate": "fault profile",
    "journey": "scenario",
    "roads": "clients",
    "wishes": "options",
    "patience": "timeout",
    "told": "reported",
    "tell": "report or emit",
    "ours": "expected",
    "booking": "statement line",
    "bookings": "statement lines",
    "fold": "aggregate",
    "folding": "aggregate",
    "looks": "checks",
    "shut": "circuit open",
    "tries": "attempts",
    "vocabulary": "enums",
    "rivals": "baselines",
    "contestants": "baselines",
}
"""Word that a name no longer has -> the term that replaced it."""
RETIRED_PHRASES = {
    r"told|tells|telling": "report, show, say or return",
    r"anew": "again, or from scratch",
    r"of ours": "our",
    r"whoever|whatever": "anyone who, everything that",
    r"for good": "permanently",
    r"mend|mends|mended|mending": "fix",
    r"heir": "new owner",
    r"slots?": "instance id",
    r"lanes?": "parallel consumer",
    r"errands?": "in-flight record",
}
_PAGES_OF_RECORD = {"CHANGELOG.md", "CONTRIBUTING.md"}
"""Pages that name retired words on purpose: what was renamed, and what to write instead."""


def words_of(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def public_names(path: Path) -> Iterator[str]:
    """The module's own name, its public classes and functions, and their public methods."""
    yield path.stem
    for node in ast.walk(tree(path)):
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name


@pytest.mark.parametrize("path", modules(), ids=str)
def test_names_are_the_fields(path: Path) -> None:
    found = {
        f"{name}: not {word!r} but {RETIRED_NAMES[word]}"
        for name in public_names(path)
        for word in words_of(name) & RETIRED_NAMES.keys()
    }
    assert sorted(found) == []


def retired_phrases(text: str) -> list[str]:
    """Each retired phrase of a text, with what to write instead."""
    prose = re.sub(r"`[^`]*`", "", text)
    return [
        f"not {match.group()!r} but {better}"
        for phrase, better in RETIRED_PHRASES.items()
        for match in re.finditer(rf"\b(?:{phrase})\b", prose, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", modules(), ids=str)
def test_docstrings_and_messages_are_plain_english(path: Path) -> None:
    found = [
        f"line {line}: {each}" for line, text in strings(path) for each in retired_phrases(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_pages_are_plain_english(page: Path) -> None:
    if str(page) in _PAGES_OF_RECORD:
        return
    assert retired_phrases((ROOT / page).read_text()) == []


def test_the_lists_are_found_in_names_and_text() -> None:
    assert words_of("TransactionalLane_of_heirs") >= {"transactional", "lane"}
    assert retired_phrases("The heir is told, in `slot`, anew.") == [
        "not 'told' but report, show, say or return",
        "not 'anew' but again, or from scratch",
        "not 'heir' but new owner",
    ]
