"""What a state directory keeps."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from devstack.supervisor import logs
from devstack.supervisor.state_dir import StateDir, StateDirInUseError, write_env_file


def test_a_second_owner_is_refused_and_learns_who_has_it(tmp_path: Path) -> None:
    first = StateDir(tmp_path)
    with pytest.raises(StateDirInUseError, match=f"pid {os.getpid()}.*--state-dir"):
        StateDir(tmp_path)
    first.release()
    StateDir(tmp_path).release()


def test_secrets_are_made_once_and_are_the_owners_only(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    key = state.secret("master-key")
    assert len(base64.b64decode(key)) == 32
    assert state.secret("master-key") == key
    assert state.secret("admin-token") != key
    assert stat.S_IMODE((tmp_path / "secrets/master-key").stat().st_mode) == 0o600
    state.release()


def test_the_env_file_is_readable_by_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "deep/stack.env"
    write_env_file(path, {"API_URL": "http://127.0.0.1:1", "ODD": "a b'c"})
    assert path.read_text().splitlines() == ["API_URL=http://127.0.0.1:1", "ODD='a b'\"'\"'c'"]
    assert [p.name for p in path.parent.iterdir()] == ["stack.env"]


def test_processes_are_listed_by_name(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.write_processes({"kafka-1": 42})
    listed = json.loads((tmp_path / "processes.json").read_text())
    assert listed == {"supervisor": os.getpid(), "kafka-1": 42}
    state.release()
    assert not (tmp_path / "processes.json").exists()


def test_a_log_over_its_limit_is_moved_aside_under_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not logs.bound(path, bytes_max=100)
        writer.write(b"y")
        assert logs.bound(path, bytes_max=100)
        writer.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "api.log.1").read_bytes() == b"x" * 100 + b"y"
