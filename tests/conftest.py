"""Services that several test packages share: started once a session, gone with the session.

A service's processes die with the test run, also when it is killed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import settings
from uuid_utils import uuid7
from xdist.scheduler import LoadFileScheduling

from devstack.services import clickhouse, kafka, kafka_jars, valkey
from devstack.services.child import Child, Launch
from devstack.services.ports import RANGE, RANGE_VARIABLE, free_port

# A shared machine may take long over one example: how fast is a question for the benchmarks.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each process of a run has ports of its own: none takes for its own what another one started.
    _number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    _size = (RANGE[1] - RANGE[0] + 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    _first = RANGE[0] + _number * _size
    os.environ[RANGE_VARIABLE] = f"{_first}-{_first + _size - 1}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process of a run; so do all tests of the whole stack: one at a time."""
    return OneStackAtATime(config, log)


class OneStackAtATime(LoadFileScheduling):  # type: ignore[misc] # untyped
    """`--dist loadfile`, with tests/e2e as one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/e2e" if file.startswith("tests/e2e/") else file


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of one real broker; make topics with names from `unique_name`."""
    with broker_in(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of one file's tests: no record, group or payment of another test is on it."""
    with broker_in(tmp_path_factory.mktemp("own-kafka")) as bootstrap:
        yield bootstrap


@contextmanager
def broker_in(directory: Path) -> Iterator[str]:
    kafka_jars.fetch()
    cluster, children = kafka.start_in(directory)
    try:
        yield cluster.bootstrap_servers
    finally:
        for child in children:
            child.kill_group()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of one real Valkey; use keys from `unique_name`, or flush it in your own fixture."""
    directory = tmp_path_factory.mktemp("valkey")
    port = free_port()
    with running(valkey.launch(directory, port, directory)):
        yield valkey.url(port)


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of one real ClickHouse engine over HTTP, shared: work in a `clickhouse_database`."""
    directory = tmp_path_factory.mktemp("clickhouse")
    port = free_port()
    with running(clickhouse.launch(directory / "data", port, directory)):
        yield clickhouse.url(port)


@pytest.fixture
def clickhouse_database(clickhouse_url: str) -> Iterator[str]:
    """Name of an empty database, dropped after the test."""
    name = fresh_name("test")
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE IF EXISTS {name} SYNC")


@contextmanager
def running(launch: Launch) -> Iterator[Child]:
    """Start a service, wait until it is ready, end it at the exit."""
    child = Child(launch)
    try:
        child.wait_ready()
        yield child
    finally:
        child.kill_group()


def fresh_name(base: str) -> str:
    """A name that no other test has, as `payments_0192f0c4…`."""
    return f"{base}_{uuid7().hex}"


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """`unique_name("payments")` makes a name for a topic, a group or a database."""
    return fresh_name


@pytest.fixture
def new_topic(kafka_broker: str) -> Callable[..., str]:
    """`new_topic("base", partitions=3, **config)` creates a topic and answers its unique name."""

    def create(base: str, partitions: int = 1, **config: str) -> str:
        name = fresh_name(base)
        admin = AdminClient({"bootstrap.servers": kafka_broker})
        topic = NewTopic(name, partitions, 1, config=config)
        admin.create_topics([topic])[name].result(20)
        return name

    return create
