"""One stack for the tests that leave it well."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
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

    def as_user(self, user: str) -> dict[str, str]:
        """The variables for another user of a secured Kafka."""
        return self.env | {
            "PAYSTREAM_KAFKA_SASL_USERNAME": user,
            "PAYSTREAM_KAFKA_SASL_PASSWORD_FILE": str(self.state_dir / "secrets" / f"kafka-{user}"),
        }

    def http_client(self) -> httpx2.Client:
        """A client of its API, which trusts the stack's certificates."""
        ca_file = self.env.get("API_CA_FILE")
        trusted = ssl.create_default_context(cafile=ca_file) if ca_file else True
        return httpx2.Client(base_url=self.env["API_URL"], timeout=30, verify=trusted)


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`paystream up --workers 2`, by the command line; with PAYSTREAM_TEST_SECURE=1 secured."""
    with (
        started_stack(tmp_path_factory.mktemp("stack"), "--workers", "2", *SECURE) as stack,
        pytest.MonkeyPatch.context() as patch,
    ):
        if SECURE:  # HTTP clients of the tests look for the CA here
            patch.setenv("SSL_CERT_FILE", stack.env["SSL_CERT_FILE"])
        yield stack


@pytest.fixture(scope="session")
def secured_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The same with TLS, users, access lists and passwords."""
    with started_stack(tmp_path_factory.mktemp("secured"), "--workers", "2", "--secure") as stack:
        yield stack


@contextmanager
def started_stack(directory: Path, *flags: str) -> Iterator[RunningStack]:
    """A stack of the command line, stopped at the exit."""
    kafka_jars.fetch()
    state_dir, env_file = directory / "state", directory / "stack.env"
    arguments = ("up", "--state-dir", str(state_dir), "--env-file", str(env_file))
    launch = Launch(
        name="up",
        command=(sys.executable, "-m", "paystream.cli", *arguments, *flags),
        log_path=directory / "up.log",
        ready=env_file.exists,
        ready_timeout_seconds=240,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        yield RunningStack(state_dir, read_env_file(env_file))
    finally:
        child.stop(20)


@pytest.fixture(scope="session")
def settled_stack(running_stack: RunningStack) -> RunningStack:
    """The stack after some payments whose every effect has arrived."""
    result = run(running_stack.env, TrafficSettings(payments=30, rate=15))
    assert result.problem_count == 0, result.problems
    wait_until_drained(running_stack.env, 120)
    return running_stack
