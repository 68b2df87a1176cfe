"""What `make audit` makes of pip-audit's report: no answer is no good news."""

from __future__ import annotations

import json

import pytest

from devstack.dependency_audit import NOT_AUDITED, VULNERABLE, read_report, verdict

SOUND = {"name": "a", "version": "1", "vulns": []}
HOLED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3", "4"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def report(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_a_vulnerability_is_named_and_fails() -> None:
    found = read_report("x.lock", report(SOUND, HOLED))
    assert (found.audited, found.vulnerabilities) == (2, ["b 2: PYSEC-1, fixed in 3, 4"])
    assert verdict([found], required=False) == VULNERABLE


@pytest.mark.parametrize("text", ["", "Traceback", "{}", report(SOUND, SKIPPED), report(SKIPPED)])
def test_what_was_not_audited_is_said(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_report("x.lock", text)
    assert found.trouble
    assert verdict([found], required=False) == 0
    assert verdict([found], required=True) == NOT_AUDITED
    assert "NOT AUDITED" in capsys.readouterr().out


def test_a_sound_lock_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict([read_report("x.lock", report(SOUND))], required=True) == 0
    assert "NOT AUDITED" not in capsys.readouterr().out
