"""The project's measures: short functions, modules that fit on a few screens, honest names."""

import ast
from pathlib import Path

import pytest
from repository import ROOT, modules

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
FUNCTION_LINES_MEDIAN_MAX = 12
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}

MODULES = modules()


def functions(path: Path) -> list[tuple[str, int]]:
    """(name, lines) of each function, without its docstring and decorators."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            found.append((node.name, lines - len((docstring or "").splitlines())))
    return found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_is_within_the_measures(path: Path) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= MODULE_LINES_MAX, f"{path} has {lines} lines"
    too_long = [f"{name}: {n}" for name, n in functions(path) if n > FUNCTION_LINES_MAX]
    assert not too_long, f"{path}: {too_long}"


def test_functions_are_short_in_the_middle() -> None:
    lengths = sorted(n for path in MODULES for _, n in functions(path))
    assert lengths[len(lengths) // 2] <= FUNCTION_LINES_MEDIAN_MAX


def test_no_module_is_named_for_nothing() -> None:
    assert [p for p in MODULES if p.stem in BANNED_NAMES] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_public_modules_classes_and_functions_say_what_they_promise(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    if path.name != "__init__.py":
        assert ast.get_docstring(tree), f"{path} has no docstring"
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not public, f"{path}: without docstring: {public}"
