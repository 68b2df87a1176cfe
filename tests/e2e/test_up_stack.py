"""The whole stack by one command: addresses that work, a death survived, a stop, a second run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import httpx2
import psutil
import pytest
from confluent_kafka.admin import AdminClient
from redis import Redis

from devstack.services import kafka_jars
from devstack.services.child import Child, Launch

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

STOP_SECONDS_MAX = 15.0
VARIABLES = {
    *("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "ANALYST_CLICKHOUSE_URL", "REDIS_URL"),
    *("API_URL", "CONSOLE_URL", "PROMETHEUS_URLS", "NETWORK_URL", "BANK_URL", "RECEIVER_URL"),
    *("ADMIN_TOKEN", "PAYSTREAM_STATE_DIR", "PAYSTREAM_MASTER_KEY"),
}


class Run:
    """`up` on one state directory, several times."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.env_file = directory / "stack.env"
        self.log = directory / "up.log"
        self.child: Child | None = None

    def command(self) -> tuple[str, ...]:
        flags = ("--state-dir", str(self.state), "--env-file", str(self.env_file))
        return (sys.executable, "-m", "devstack.supervisor", *flags, "--workers", "2")

    def up(self) -> dict[str, str]:
        launch = Launch("up", self.command(), self.log)
        self.env_file.unlink(missing_ok=True)
        self.child = Child(launch)
        deadline = time.monotonic() + 240
        wait_until(self.env_file.exists, deadline, self._still_there)
        lines = self.env_file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def pids(self) -> dict[str, int]:
        text = (self.state / "processes.json").read_text()
        return {name: int(pid) for name, pid in json.loads(text).items()}

    def _still_there(self) -> None:
        assert self.child is not None
        assert self.child.exit_code() is None, self.log.read_text()[-3_000:]


def wait_until(
    holds: Callable[[], bool], deadline: float, check: Callable[[], None] = lambda: None
) -> None:
    while not holds():
        check()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    kafka_jars.fetch()
    run = Run(tmp_path_factory.mktemp("up"))
    yield run
    if run.child is not None:
        run.child.stop(STOP_SECONDS_MAX)


@pytest.fixture(scope="module")
def stack(run: Run) -> dict[str, str]:
    """Variables of the running stack."""
    return run.up()


def test_the_env_file_names_everything(stack: dict[str, str], run: Run) -> None:
    assert set(stack) >= VARIABLES
    assert run.env_file.stat().st_mode & 0o077 == 0
    assert (run.state / "paystream.env").read_text() == run.env_file.read_text()


def test_unmodified_clients_reach_the_stores(stack: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": stack["KAFKA_BOOTSTRAP_SERVERS"]})
    assert {"payments.commands", "payments.events"} <= set(admin.list_topics(timeout=10).topics)
    with clickhouse_connect.get_client(dsn=stack["ANALYST_CLICKHOUSE_URL"]) as analyst:
        assert ("payments",) in analyst.query("SHOW TABLES").result_rows
        assert analyst.query("SELECT * FROM payments LIMIT 1").column_names
    with Redis.from_url(stack["REDIS_URL"]) as redis:
        assert redis.ping()


def test_every_own_process_is_ready_and_has_metrics(stack: dict[str, str]) -> None:
    urls = stack["PROMETHEUS_URLS"].split(",")
    assert len(urls) == 2 + 2 + 7  # API, console, two payments workers, seven others
    for url in urls:
        # A worker that was ready is not for the moment of a rebalance: it comes back by itself.
        ready = url.replace("/metrics", "/readyz")
        wait_until(lambda at=ready: httpx2.get(at).status_code == 200, time.monotonic() + 60)
        assert "# TYPE" in httpx2.get(url).text, url
    for name in ("NETWORK_URL", "BANK_URL", "RECEIVER_URL"):
        assert httpx2.get(f"{stack[name]}/readyz").status_code == 200


def test_a_second_up_is_refused(stack: dict[str, str], run: Run) -> None:
    second = subprocess.run(run.command(), check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "already runs on" in second.stderr
    assert run.env_file.exists()


@pytest.mark.parametrize("name", ["valkey", "api"])
def test_a_killed_child_comes_back(stack: dict[str, str], run: Run, name: str) -> None:
    before = run.pids()[name]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: f"{name} is ready again" in run.log.read_text(), time.monotonic() + 90)
    assert run.pids()[name] != before
    assert f"{name} was ended by SIGKILL; it is started again" in run.log.read_text()


def test_stop_in_time_and_go_on_where_it_was(stack: dict[str, str], run: Run) -> None:
    with Redis.from_url(stack["REDIS_URL"]) as redis:
        redis.set("kept", "yes")
    assert run.child is not None
    family = psutil.Process(run.child.pid).children(recursive=True)
    began = time.monotonic()
    run.child.signal(signal.SIGTERM)
    gone, left = psutil.wait_procs([*family], timeout=STOP_SECONDS_MAX)
    assert not left
    wait_until(lambda: run.child is not None and run.child.exit_code() == 0, time.monotonic() + 5)
    assert time.monotonic() - began < STOP_SECONDS_MAX
    assert len(gone) >= 15
    again = run.up()
    assert again == stack
    with Redis.from_url(again["REDIS_URL"], decode_responses=True) as redis:
        assert redis.get("kept") == "yes"


def test_a_killed_up_leaves_nobody(stack: dict[str, str], run: Run) -> None:
    assert run.child is not None
    if run.child.exit_code() is not None:
        run.up()
    family = psutil.Process(run.child.pid).children(recursive=True)
    os.kill(run.child.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(family, timeout=10)
    assert not left
