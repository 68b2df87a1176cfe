"""No module imports itself through others: also not for types only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from repository import ROOT, modules

Graph = Mapping[str, set[str]]


def name_of(path: Path) -> str:
    """Dotted name of a module or package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, known: set[str]) -> set[str]:
    """Modules of ours that the module imports when it is loaded, and under TYPE_CHECKING."""
    found = set()
    for node in _module_level(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known
            found |= {node.module} if names - known else set()
    return found & known


def _module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements outside of functions; an `if`, a `try` and a class body belong to the module."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.stmt):
                yield child
            waiting.append(child)


def circles(graph: Graph) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            at = stack.index(name)
            component, stack[at:] = stack[at:], []
            if len(component) > 1 or name in graph[name]:
                found.append(sorted(component))

    for name in graph:
        if name not in order:
            visit(name)
    return found


def test_no_module_imports_itself_through_others() -> None:
    paths = {name_of(path): path for path in modules()}
    known = set(paths)
    graph = {
        name: imported(ast.parse((ROOT / path).read_text()), known) for name, path in paths.items()
    }
    assert sum(len(targets) for targets in graph.values()) > len(graph), "imports were read"
    assert circles(graph) == []


def test_a_circle_is_found_also_for_types_only() -> None:
    known = {"a", "b", "c"}
    sources = {
        "a": "from b import x",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import c",
        "c": "import a",
    }
    graph = {name: imported(ast.parse(text), known) for name, text in sources.items()}
    assert circles(graph) == [["a", "b", "c"]]
    lazy = graph | {"c": imported(ast.parse("def f():\n    import a"), known)}
    assert circles(lazy) == []
