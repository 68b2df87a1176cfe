"""A variable that names no setting stops a process, so every one in a file must name one."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECTIONS = tomllib.loads((ROOT / "deploy/config.default.toml").read_text())
_VARIABLE = re.compile(r"\bPAYSTREAM_([A-Z]+)_([A-Z0-9_]*[A-Z0-9])\b")
_NO_SECTION = re.compile(
    r"PAYSTREAM_(STATE_DIR|MASTER_KEY|CACHE_DIR|API_PARENT_PID|NETWORK_SIMULATOR_\w+"
    r"|LEDGER_PUBLIC_KEY|TEST_\w+|\w+_SERVICE_HOST|MASTER_KEY_FILE)$"
)
"""Connections, and variables of the simulators, the tests and Kubernetes."""
_WRONG_ON_PURPOSE = "tests/unit/runtime/test_environment.py"


def test_every_variable_of_a_section_is_a_setting() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    wrong = set()
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or path.suffix in {".lock", ".png", ".bin"}:
            continue
        if name == _WRONG_ON_PURPOSE:
            continue
        for found in _VARIABLE.finditer(path.read_text(errors="ignore")):
            section, setting = (part.lower() for part in found.groups())
            settings = _SECTIONS.get(section, {})
            known = setting in settings or setting.removesuffix("_file") in settings
            if not known and not _NO_SECTION.match(found[0]):
                wrong.add(f"{name}: {found[0]}")
    assert sorted(wrong) == []
