"""The long fault suite runs by `make faults` only; each test prints its seed and schedule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_cluster import Cluster, Figures
from stream.engine_harness import Scenario

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-all-faults", action="store_true", help="also the tests marked `slow` in tests/faults"
    )
    parser.addoption("--seed", type=int, default=1, help="replays a schedule of the fault tests")
    parser.addoption("--fault-figures", default="", help="write what was measured to this file")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-all-faults", default=False):
        return
    skip = pytest.mark.skip(reason="a long fault test: `make faults` runs it")
    for item in items:
        if "tests/faults" in item.path.as_posix() and item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """`--seed`, or 1."""
    return int(request.config.getoption("--seed", default=1))


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest, seed: int) -> Iterator[Figures]:
    """Written at the end to `--fault-figures`."""
    made = Figures(seed)
    yield made
    path = request.config.getoption("--fault-figures", default="")
    if path:
        made.write(Path(path))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def replicated(cluster: Cluster, tmp_path: Path) -> Iterator[Scenario]:
    """Topics with three replicas on `cluster`."""
    made = Scenario(cluster.bootstrap, tmp_path, replication=3)
    yield made
    made.stop()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[tuple[Scenario, Child]]:
    """Topics on a broker of their own, to be killed."""
    kafka_jars.fetch()
    cluster, (broker,) = kafka.start_in(tmp_path / "broker")
    made = Scenario(cluster.bootstrap_servers, tmp_path)
    yield made, broker
    made.stop()
    broker.kill_group()


@pytest.fixture
def single(kafka_broker: str, tmp_path: Path) -> Iterator[Scenario]:
    """Topics on the one broker that all tests share."""
    made = Scenario(kafka_broker, tmp_path)
    yield made
    made.stop()
