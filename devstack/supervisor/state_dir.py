"""The state directory: one supervisor at a time, generated secrets, files written in one step."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

ENV_FILE_NAME = "paystream.env"
PROCESSES_FILE_NAME = "processes.json"
MASTER_KEY_BYTES = 32


class StateDirInUseError(RuntimeError):
    """Another supervisor runs on the directory."""


class StateDir:
    """Makes the directory and locks it for this process; `StateDirInUseError` if it is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path)

    @property
    def logs(self) -> Path:
        """One file per child."""
        return self.path / "logs"

    @property
    def env_file(self) -> Path:
        """There while the stack is ready."""
        return self.path / ENV_FILE_NAME

    def secret(self, name: str) -> str:
        """A secret (32 random bytes in base64), made at the first call and kept."""
        path = self.path / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            value = base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode()
            _write(path, value)
        return path.read_text()

    def write_processes(self, pids: Mapping[str, int]) -> None:
        """Who runs now, by name, for people and fault tests."""
        text = json.dumps({"supervisor": os.getpid(), **pids}, indent=1)
        _write(self.path / PROCESSES_FILE_NAME, text)

    def release(self) -> None:
        """Let the next supervisor in."""
        (self.path / PROCESSES_FILE_NAME).unlink(missing_ok=True)
        self._lock.close()


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """NAME=value lines that a shell can read, there completely or not at all; owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    _write(path, "".join(lines))


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _lock(path: Path) -> TextIO:
    lock = (path / "supervisor.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise StateDirInUseError(
            f"A stack already runs on {path} (pid {owner}). Stop it with Ctrl-C or"
            f" `kill {owner}`, or give another --state-dir."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
