"""What must not stand in any file: machine paths, registries' hosts."""

import re
from pathlib import Path

from repository import ROOT, tracked

_REGISTRY = re.compile(
    r"https?://[^\s\"']+\.(whl|tar\.gz|tgz|jar|pom)\b|--(extra-)?index-url|\"resolved\":"
)
_MACHINE_PATH = re.compile(r"(?<![\w./-])/(home|root|Users)/\w")


def test_no_registry_host_and_no_machine_path_is_written_anywhere() -> None:
    found = []
    for path in tracked():
        if ROOT / path == Path(__file__).resolve():
            continue
        text = (ROOT / path).read_text(errors="replace")
        found += [
            f"{path}: {m.group()}"
            for pattern in (_REGISTRY, _MACHINE_PATH)
            for m in pattern.finditer(text)
        ]
    assert found == []


def test_locks_name_version_and_hash_each_package() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
        assert len(entries) > 50
        for entry in entries:
            assert re.match(r"[a-z0-9-]+==\S+", entry), entry.splitlines()[0]
            assert "--hash=sha256:" in entry, entry.splitlines()[0]
