"""Each child of the stack is killed (SIGKILL) while a shop sends; then every invariant must hold.

The order of the deaths is drawn from SEED, which is printed: PAYSTREAM_TEST_SEED replays it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.cli.environment import read_env_file
from devstack.services import kafka_jars
from devstack.services.child import Child, Launch
from devstack.traffic.settling import settle
from devstack.verify.run import run_verify

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("PAYSTREAM_TEST_SEED", "0")) or random.SystemRandom().randrange(10**6)
PAYMENTS = 400
RATE = 10
SECONDS_BETWEEN_DEATHS = 2.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """State directory and variables of a stack of its own."""
    kafka_jars.fetch()
    directory = tmp_path_factory.mktemp("kill")
    env_file = directory / "stack.env"
    arguments = ("up", "--state-dir", str(directory / "state"), "--env-file", str(env_file))
    launch = Launch(
        name="up",
        command=(sys.executable, "-m", "devstack.cli", *arguments, "--workers", "2"),
        log_path=directory / "up.log",
        ready=env_file.exists,
        ready_timeout_seconds=240,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        yield directory / "state", read_env_file(env_file)
    finally:
        child.stop(20)


def running(state: Path) -> dict[str, int]:
    """Child -> process id, without the supervisor."""
    pids: dict[str, int] = json.loads((state / "processes.json").read_text())
    return {name: pid for name, pid in pids.items() if name != "supervisor"}


def kill_each(state: Path, names: list[str]) -> list[str]:
    killed = []
    for name in names:
        time.sleep(SECONDS_BETWEEN_DEATHS)
        pid = running(state).get(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            killed.append(name)
    return killed


def test_nothing_is_lost_or_doubled_when_each_child_dies_once(
    stack: tuple[Path, dict[str, str]],
) -> None:
    state, env = stack
    names = sorted(running(state))
    random.Random(SEED).shuffle(names)
    print(f"SEED={SEED} deaths: {', '.join(names)}")
    size = ("--payments", str(PAYMENTS), "--rate", str(RATE), "--seed", str(SEED), "--json")
    with subprocess.Popen(
        (sys.executable, "-m", "devstack.cli", "load", *size),
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    ) as shop:
        killed = kill_each(state, names)
        output, _ = shop.communicate(timeout=240)
    assert len(killed) == len(names)
    assert shop.returncode == 0, output
    assert json.loads(output)["accepted"] >= PAYMENTS
    settle(env, 180)
    report = run_verify(env)
    broken = {r.name: r.violations or r.skipped_reason for r in report.rules if not r.held}
    assert not broken, f"SEED={SEED}: {broken}"
