"""The supervisor on tiny children: order, restarts, stops, and no orphans."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from polling import PATIENCE_SECONDS, eventually

from devstack.services.child import DIE_WITH_PARENT

pytestmark = pytest.mark.services

PROGRAM = Path(__file__).with_name("fake_stack.py")
NAMES = ("api", "worker-0", "worker-1", "store")


@contextmanager
def fake_stack(directory: Path, *modes: str) -> Iterator[subprocess.Popen[str]]:
    """The program, in a directory; killed with all that it left behind."""
    command = [sys.executable, str(PROGRAM), str(directory), *modes]
    bound = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid()), *command]
    with (directory / "console").open("a") as console:
        program = subprocess.Popen(bound, stdout=console, stderr=console, text=True)
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def console(directory: Path) -> str:
    return (directory / "console").read_text()


def history(directory: Path) -> list[str]:
    return (directory / "history").read_text().splitlines()


def pid_of(directory: Path, name: str) -> int:
    return int(json.loads((directory / "processes.json").read_text())[name])


def everybody(directory: Path) -> list[int]:
    """Children and their children."""
    grandchildren = [int((directory / f"{name}.grandchild").read_text()) for name in NAMES]
    return [pid_of(directory, name) for name in NAMES] + grandchildren


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def ready_stack(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with fake_stack(tmp_path) as program:
        eventually(lambda: "READY" in console(tmp_path), "a ready stack")
        yield program


def test_start_in_order_of_need_and_stop_in_order_of_stage(
    tmp_path: Path, ready_stack: subprocess.Popen[str]
) -> None:
    started = history(tmp_path)
    assert started[:2] == ["start store", "prepare topics"]
    assert sorted(started[2:4]) == ["start worker-0", "start worker-1"]
    assert started[4:] == ["start api"]
    family = everybody(tmp_path)
    ready_stack.send_signal(signal.SIGTERM)
    assert ready_stack.wait(15) == 0
    stopped = history(tmp_path)[5:]
    assert stopped[0] == "stop api"
    assert sorted(stopped[1:3]) == ["stop worker-0", "stop worker-1"]
    assert stopped[3:] == ["stop store"]
    assert not any(runs(pid) for pid in family)


def test_a_dead_child_is_started_again_and_said_so(
    tmp_path: Path, ready_stack: subprocess.Popen[str]
) -> None:
    first, orphan = pid_of(tmp_path, "worker-0"), tmp_path / "worker-0.grandchild"
    left_behind = int(orphan.read_text())
    os.kill(first, signal.SIGKILL)
    eventually(lambda: "worker-0 is ready again" in console(tmp_path), "its worker again")
    assert pid_of(tmp_path, "worker-0") != first
    assert "worker-0 was ended by SIGKILL; it is started again in 0.05 s" in console(tmp_path)
    assert not runs(left_behind)
    assert ready_stack.poll() is None


def test_a_killed_supervisor_leaves_no_orphan(
    tmp_path: Path, ready_stack: subprocess.Popen[str]
) -> None:
    family = everybody(tmp_path)
    assert all(runs(pid) for pid in family)
    ready_stack.kill()
    eventually(lambda: not any(runs(pid) for pid in family), "the end of all")


def test_a_second_run_on_the_directory_is_refused(
    tmp_path: Path, ready_stack: subprocess.Popen[str]
) -> None:
    second = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already runs on {tmp_path} (pid {ready_stack.pid})" in second.stderr


def test_the_directory_is_free_after_a_kill(
    tmp_path: Path, ready_stack: subprocess.Popen[str]
) -> None:
    ready_stack.kill()
    ready_stack.wait()
    for mark in tmp_path.glob("*.ready"):
        mark.unlink()
    with fake_stack(tmp_path):
        eventually(lambda: console(tmp_path).count("READY") == 2, "two ready stacks")


def test_who_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    with fake_stack(tmp_path, "stubborn") as program:
        eventually(lambda: "READY" in console(tmp_path), "a ready stack")
        family = everybody(tmp_path)
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        assert program.wait(15) == 0
        assert time.monotonic() - began < 10
    assert "worker-0 did not stop in time and was killed" in console(tmp_path)
    assert "stop store" in history(tmp_path)
    assert not any(runs(pid) for pid in family)


def test_a_child_that_never_gets_ready_ends_the_start_with_its_log(tmp_path: Path) -> None:
    with fake_stack(tmp_path, "crashing") as program:
        assert program.wait(PATIENCE_SECONDS) == 1
    assert history(tmp_path).count("start api") == 3
    assert "api ended with exit code 3. Its log" in console(tmp_path)
    assert "stop store" in history(tmp_path)


def test_a_child_that_keeps_dying_is_given_up_and_the_rest_is_stopped(tmp_path: Path) -> None:
    with fake_stack(tmp_path) as program:
        eventually(lambda: "READY" in console(tmp_path), "a ready stack")
        seen = 0
        while program.poll() is None:
            if (now := pid_of_or_zero(tmp_path, "worker-1")) not in (0, seen):
                os.kill(now, signal.SIGKILL)
                seen = now
            time.sleep(0.01)
        assert program.returncode == 1
    assert "worker-1 died 5 times in a row" in console(tmp_path)
    assert "stop store" in history(tmp_path)


def pid_of_or_zero(directory: Path, name: str) -> int:
    try:
        pid = pid_of(directory, name)
    except (OSError, KeyError):
        return 0
    return pid if runs(pid) else 0
