"""One stack for the tests that leave it well."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from devstack.services import kafka_jars
from devstack.services.child import Child, Launch
from devstack.traffic.drain import wait_until_drained
from devstack.traffic.runner import TrafficSettings, run
from paystream.cli.environment import read_env_file

SECURE = ("--secure",) if os.environ.get("PAYSTREAM_TEST_SECURE") == "1" else ()


class RunningStack(NamedTuple):
    """Where it keeps its files, and the variables of its env file."""

    state_dir: Path
    env: dict[str, str]


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`paystream up --workers 2`, by the command line; with PAYSTREAM_TEST_SECURE=1 secured."""
    kafka_jars.fetch()
    directory = tmp_path_factory.mktemp("stack")
    state_dir, env_file = directory / "state", directory / "stack.env"
    arguments = ("up", "--state-dir", str(state_dir), "--env-file", str(env_file))
    launch = Launch(
        name="up",
        command=(sys.executable, "-m", "paystream.cli", *arguments, "--workers", "2", *SECURE),
        log_path=directory / "up.log",
        ready=env_file.exists,
        ready_timeout_seconds=240,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        env = read_env_file(env_file)
        with pytest.MonkeyPatch.context() as patch:
            if SECURE:  # HTTP clients of the tests look for the CA here
                patch.setenv("SSL_CERT_FILE", env["SSL_CERT_FILE"])
            yield RunningStack(state_dir, env)
    finally:
        child.stop(20)


@pytest.fixture(scope="session")
def settled_stack(running_stack: RunningStack) -> RunningStack:
    """The stack after some payments whose every effect has arrived."""
    result = run(running_stack.env, TrafficSettings(payments=30, rate=15))
    assert result.problem_count == 0, result.problems
    wait_until_drained(running_stack.env, 120)
    return running_stack
