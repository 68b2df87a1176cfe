"""A supervisor over tiny children, as a program that tests can kill.

`fake_stack.py STATE_DIR [stubborn] [crashing]`: table a store, a preparation, two workers, an
intake; each child writes what happens to it into STATE_DIR/history.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from devstack.services.child import Launch
from devstack.supervisor.process_spec import Entry, InitTask, Process, Stage
from devstack.supervisor.restart import RestartPolicy
from devstack.supervisor.shutdown import StopClock
from devstack.supervisor.stack import ShutdownSignal
from devstack.supervisor.state_dir import StateDir, StateDirInUseError
from devstack.supervisor.supervisor import GaveUpError, StartFailedError, Supervisor

POLICY = RestartPolicy(first_seconds=0.05, max_seconds=0.2, crashes_max=4)


def note(directory: Path, line: str) -> None:
    with (directory / "history").open("a") as history:
        history.write(line + "\n")


def child(directory: Path, name: str, mode: str) -> None:
    """Starts a child of its own, gets ready, waits for SIGTERM."""
    grandchild = subprocess.Popen(["sleep", "300"])
    (directory / f"{name}.grandchild").write_text(str(grandchild.pid))
    note(directory, f"start {name}")
    if mode == "crashing":
        sys.exit(3)
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else on_term(directory, name)
    )
    (directory / f"{name}.ready").write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def on_term(directory: Path, name: str):
    def stop(*_: object) -> None:
        note(directory, f"stop {name}")
        os._exit(0)

    return stop


def process(directory: Path, name: str, stage: Stage, needs: tuple[str, ...], mode: str) -> Process:
    mark = directory / f"{name}.ready"
    launch = Launch(
        name=name,
        command=(sys.executable, __file__, "--child", str(directory), name, mode),
        log_path=directory / "logs" / f"{name}.log",
        ready=mark.exists,
        ready_timeout_seconds=20.0,
    )
    return Process(launch, stage, needs)


def table(directory: Path, modes: list[str]) -> list[Entry]:
    worker = "stubborn" if "stubborn" in modes else "plain"
    intake = "crashing" if "crashing" in modes else "plain"
    return [
        process(directory, "api", Stage.INTAKE, ("worker-0", "worker-1"), intake),
        process(directory, "worker-0", Stage.WORKERS, ("topics",), worker),
        process(directory, "worker-1", Stage.WORKERS, ("topics",), "plain"),
        InitTask("topics", lambda: note(directory, "prepare topics"), ("store",)),
        process(directory, "store", Stage.STORES, (), "plain"),
    ]


def main(directory: Path, modes: list[str]) -> int:
    stopped = ShutdownSignal()
    try:
        state = StateDir(directory)
    except StateDirInUseError as error:
        print(error, file=sys.stderr)
        return 1
    supervisor = Supervisor(
        table(directory, modes),
        lambda line: print(line, flush=True),
        POLICY,
        changed=state.write_processes,
    )
    try:
        if supervisor.start(stopped):
            print("READY", flush=True)
            supervisor.watch(stopped)
    except (StartFailedError, GaveUpError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        ends = {stage: 1.0 + 0.5 * stage for stage in Stage}
        supervisor.stop(StopClock(ends=ends))
        state.release()
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
