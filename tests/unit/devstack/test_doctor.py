"""Findings of `paystream doctor` say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack import doctor


@pytest.mark.parametrize(
    ("version", "ok"),
    [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 1), True), ((3, 14, 0), False)],
)
def test_python_versions(version: tuple[int, ...], ok: bool) -> None:
    check = doctor.python_version(version)
    assert check.ok is ok
    assert ok or "PYTHON=" in check.finding


def test_too_little_memory_and_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "MEMORY_FREE_BYTES_MIN", 1 << 60)
    monkeypatch.setattr(doctor, "DISK_FREE_BYTES_MIN", 1 << 60)
    for check in (doctor.memory(), doctor.disk_space(tmp_path / "not/yet/there")):
        assert not check.ok
        assert "needed" in check.finding


def test_missing_jars_name_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAYSTREAM_CACHE_DIR", str(tmp_path))
    check = doctor.jars()
    assert not check.ok
    assert "paystream install-kafka" in check.finding
