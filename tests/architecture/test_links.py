"""Nothing cites a page, a heading or a file that does not exist."""

import re
from pathlib import Path

import pytest
from repository import ROOMS, ROOT, pages, tracked

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FOLDERS = "|".join((*ROOMS, "docs", "deploy", "tests", "bench", "examples"))
_CITED = re.compile(
    rf"(?<![\w./<-])(?:{_FOLDERS})/[\w./-]+\.(?:md|py|sql|yaml|yml|toml|json|xml|avsc|lua|lock)\b"
)
_WRITTEN_BY_RUNS = "bench/results/"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", (ROOT / page).read_text())):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = (ROOT / page).parent / name if name else ROOT / page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_files_that_are_named_exist() -> None:
    missing = {
        f"{path}: {cited}"
        for path in tracked(
            "*.py", "*.md", ":!CHANGELOG.md", "*.toml", "*.yml", "*.yaml", "*.sql", "Makefile"
        )
        for cited in _CITED.findall((ROOT / path).read_text())
        if not (ROOT / cited).exists() and not cited.startswith(_WRITTEN_BY_RUNS)
    }
    assert sorted(missing) == []
