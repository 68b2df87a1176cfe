"""Every command that a page shows works: `paystream …` is run, `make …` exists, flags are known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e.conftest import RunningStack
from polling import eventually

from runtime.clickhouse import connect
from runtime.id_generator import new_id
from runtime.settings import connections

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
BLOCK = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
NEVER_ENDING = {"up", "demo", "api", "worker"}
PUBLIC_KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="  # RFC 8032, test 1
SCRIPTS = str(Path(sys.executable).parent)


def shown(first_word: str) -> list[str]:
    """Lines of shell blocks that begin with the word, without their remarks."""
    lines = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for line in block.splitlines():
                command = re.sub(r"\s+#.*$", "", line).removeprefix(".venv/bin/")
                if command.startswith(first_word + " "):
                    lines.append(command)
    return sorted(set(lines))


def is_only_known(command: str) -> bool:
    """It does not end, or it is for the administrator of a cluster with access lists."""
    for_administrators = command.startswith(("paystream acls --apply", "paystream acls --check"))
    never_ending = command.split()[1] in NEVER_ENDING or command == "paystream sql"
    return for_administrators or never_ending


def shell(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={**os.environ, **env, "PATH": path},
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def payment_id(settled_stack: RunningStack) -> str:
    """Some payment of the running stack."""
    at = connections(settled_stack.env)
    with connect(at.clickhouse, database="paystream") as client:
        return str(client.query("SELECT payment_id FROM payments LIMIT 1").result_rows[0][0])


class Registered(NamedTuple):
    """A merchant of its own, which a shown command may change or suspend."""

    merchant_id: str
    key_id: str


@pytest.fixture
def registered(settled_stack: RunningStack) -> Registered:
    env = settled_stack.env
    with settled_stack.http_client() as api:
        key = {"Idempotency-Key": new_id("key-")}
        merchant = api.post("/v1/merchants", json={"name": "Shown"}, headers=key).json()
        admin = {"Authorization": f"Bearer {env['ADMIN_TOKEN']}"}
        path = f"/v1/merchants/{merchant['id']}/api_keys"
        keys = eventually(lambda: api.get(path, headers=admin).json(), "the merchant's keys")
    return Registered(merchant["id"], keys[0]["id"])


@pytest.mark.parametrize("command", [c for c in shown("paystream") if not is_only_known(c)])
def test_a_shown_command_works(
    command: str, request: pytest.FixtureRequest, settled_stack: RunningStack, tmp_path: Path
) -> None:
    if "pay_…" in command:
        command = command.replace("pay_…", request.getfixturevalue("payment_id"))
    if "mer_…" in command:
        registered = request.getfixturevalue("registered")
        command = command.replace("mer_…", registered.merchant_id)
        command = command.replace("key_…", registered.key_id).replace("11qY…", PUBLIC_KEY)
    done = shell(command, tmp_path, settled_stack.env)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]


@pytest.mark.parametrize("command", [c for c in shown("paystream") if is_only_known(c)])
def test_the_flags_of_a_shown_command_are_known(command: str, tmp_path: Path) -> None:
    name = command.split()[1]
    known = shell(f"paystream {name} --help", tmp_path, {}).stdout
    assert [flag for flag in re.findall(r"--[a-z-]+", command) if flag not in known] == []


@pytest.mark.parametrize("command", shown("make"))
def test_a_shown_target_exists(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_commands_were_found() -> None:
    assert len(shown("paystream")) > 5
    assert len(shown("make")) > 3
