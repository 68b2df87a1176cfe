"""One place makes the settings of every Kafka client, so that security reaches them all."""

from pathlib import Path

from repository import modules, strings

_FACTORIES = {
    Path("runtime/kafka.py"),
    Path("engine/broker/clients.py"),  # the engine imports nothing of ours
    Path("engine/membership/library_internals.py"),  # a client that never connects
}


def test_no_other_module_says_where_the_brokers_are() -> None:
    found = {
        path for path in modules() if any(text == "bootstrap.servers" for _, text in strings(path))
    }
    assert found == _FACTORIES
