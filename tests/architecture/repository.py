"""The checkout that the tests of this folder look at: its rooms, its files, its documents."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = (
    "schemas",
    "runtime",
    "engine",
    "workers",
    "streams",
    "sinks",
    "ingest_api",
    "dashboards",
    "paystream",
)
"""Rooms that an operator installs."""
ROOMS = (*PRODUCTION, "devstack")
GENERATED = {Path("schemas/records.py"), Path("schemas/generated_codecs.py")}


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows and that are there, as paths below ROOT."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    """Every hand-written module of the rooms."""
    return sorted(
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.relative_to(ROOT) not in GENERATED
    )


def pages() -> list[Path]:
    """Every Markdown page."""
    return tracked("*.md")


def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse((ROOT / path).read_text())


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of each string of a module, docstrings among them."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
