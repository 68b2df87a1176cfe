"""One place makes the clients of each store, so that TLS and passwords reach them all."""

import ast
from pathlib import Path

import pytest
from repository import modules, strings, tree

_KAFKA = {
    Path("runtime/kafka.py"),
    Path("engine/broker/clients.py"),  # the engine imports nothing of ours
    Path("engine/membership/library_internals.py"),  # a client that never connects
}


def test_no_other_module_says_where_the_brokers_are() -> None:
    found = {
        path for path in modules() if any(text == "bootstrap.servers" for _, text in strings(path))
    }
    assert found == _KAFKA


@pytest.mark.parametrize(
    ("name", "owner"), [("get_client", "runtime/clickhouse.py"), ("from_url", "runtime/valkey.py")]
)
def test_no_other_module_connects_to_a_store(name: str, owner: str) -> None:
    found = {
        path
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr == name
    }
    assert found == {Path(owner)}
