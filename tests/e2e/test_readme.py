"""The commands and the code of the README do what it says, against a running stack."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.conftest import RunningStack

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(settled_stack: RunningStack, tmp_path: Path) -> Path:
    """A folder that looks like the checkout after `make demo`."""
    (tmp_path / ".paystream").symlink_to(settled_stack.state_dir)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run(folder: Path, script: str) -> str:
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def test_the_shell_block_runs(checkout: Path) -> None:
    (script,) = blocks("sh")
    output = run(checkout, script)
    assert "charged_once" in output
    assert "merchant_payable" in output
    assert "payments.commands" in output


def test_the_python_block_runs(checkout: Path) -> None:
    (code,) = blocks("python")
    read_env = "set -a; . .paystream/paystream.env; set +a\n"
    output = run(checkout, f"{read_env}.venv/bin/python - <<'CODE'\n{code}\nCODE\n")
    assert "captured" in output
    assert "keys in Valkey" in output
    assert "pay_" in output


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
