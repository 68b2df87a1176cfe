"""The long fault suite runs by `make faults` only; each test prints its seed and schedule."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-all-faults", action="store_true", help="also the tests marked `slow` in tests/faults"
    )
    parser.addoption("--seed", type=int, default=1, help="replays a schedule of the fault tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-all-faults", default=False):
        return
    skip = pytest.mark.skip(reason="a long fault test: `make faults` runs it")
    for item in items:
        if "tests/faults" in item.path.as_posix() and item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """`--seed`, or 1."""
    return int(request.config.getoption("--seed", default=1))
