"""A function or class that nobody names is a promise that nobody keeps."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from repository import ROOT, tracked

_CALLED_BY_OTHERS = re.compile(r"test_|pytest_|visit_|do_[A-Z]+$|__")
"""Names that pytest, `http.server` and the language call."""


def definitions(tree: ast.AST) -> Iterator[str]:
    """Functions and classes of the module that no decorator hands to somebody else."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, kinds) or _CALLED_BY_OTHERS.match(node.name):
            continue
        if not node.decorator_list and not node.name.startswith("Test"):
            yield node.name


def unused(sources: dict[str, str]) -> list[str]:
    """`file: name` of each definition whose name stands nowhere else."""
    words = Counter(word for text in sources.values() for word in re.findall(r"\w+", text))
    return [
        f"{name}: {found}"
        for name, text in sources.items()
        if name.endswith(".py")
        for found in definitions(ast.parse(text))
        if words[found] == 1
    ]


def test_each_function_and_class_is_named_where_it_is_used() -> None:
    files = tracked("*.py", "*.toml", "Makefile", ".ci/run")
    assert unused({str(path): (ROOT / path).read_text() for path in files}) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def waits(): ...", ["a.py: waits"]),
        ("def waits(): ...\nwaits()", []),
        ("@fixture\ndef waits(): ...", []),
        ("class Silent(Exception): ...", ["a.py: Silent"]),
        ("def test_it(): ...", []),
    ],
)
def test_the_rule_finds_what_it_says(source: str, found: list[str]) -> None:
    assert unused({"a.py": source}) == found
