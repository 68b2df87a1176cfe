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
from pathlib import Path

import pytest
from e2e.conftest import RunningStack

from devstack.traffic.drain import wait_until_drained
from paystream.verify.run import run_verify

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("PAYSTREAM_TEST_SEED", "0")) or random.SystemRandom().randrange(10**6)
PAYMENTS = 400
RATE = 10
SECONDS_BETWEEN_DEATHS = 2.0


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
    running_stack: RunningStack,
) -> None:
    state, env = running_stack
    names = sorted(running(state))
    random.Random(SEED).shuffle(names)
    print(f"SEED={SEED} deaths: {', '.join(names)}")
    size = ("--payments", str(PAYMENTS), "--rate", str(RATE), "--seed", str(SEED), "--json")
    with subprocess.Popen(
        (sys.executable, "-m", "paystream.cli", "load", *size),
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    ) as shop:
        killed = kill_each(state, names)
        output, _ = shop.communicate(timeout=300)
    assert len(killed) == len(names)
    assert shop.returncode == 0, output
    assert json.loads(output)["accepted"] >= PAYMENTS
    wait_until_drained(env, 180)
    report = run_verify(env)
    broken = {r.name: r.violations or r.skipped_reason for r in report.rules if not r.held}
    assert not broken, f"SEED={SEED}: {broken}"
