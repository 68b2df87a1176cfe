"""`make audit`: known vulnerabilities of the locks, and what each of them installs (SBOM).

Runs pip-audit and cyclonedx-py from the environment of the interpreter that runs this file. A lock
that the advisory database did not answer for is not audited, and that is said: no answer is no good
news.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

LOCKS = ("requirements.lock", "requirements-dev.lock")
SPECIFICATION = "1.6"
TOOL_SECONDS_MAX = 600
VULNERABLE, NOT_AUDITED = 1, 3


class Audit(NamedTuple):
    """What the advisory database says about one lock."""

    lock: str
    audited: int
    vulnerabilities: list[str]
    trouble: str = ""


def read_report(lock: str, text: str) -> Audit:
    """From pip-audit's JSON."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(lock, 0, [], "the advisory database cannot be reached")
    answered = [each for each in dependencies if "skip_reason" not in each]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}"
        + (f", fixed in {', '.join(fixed)}" if (fixed := vulnerability["fix_versions"]) else "")
        for each in answered
        for vulnerability in each["vulns"]
    ]
    skipped = len(dependencies) - len(answered)
    trouble = f"{skipped} of {len(dependencies)} distributions are not in it" if skipped else ""
    return Audit(lock, len(answered), found, trouble)


def audit(lock: Path) -> Audit:
    """Ask the advisory database about each distribution of the lock."""
    flags = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    done = _run("pip_audit", *flags, "--requirement", str(lock))
    return read_report(lock.name, done.stdout)


def write_sbom(lock: Path, target: Path) -> int:
    """CycloneDX of the lock; returns how many components it has. Raises CalledProcessError."""
    flags = ("--pyproject", "pyproject.toml", "--output-reproducible", "--sv", SPECIFICATION)
    done = _run("cyclonedx_py", "requirements", str(lock), *flags, "--output-file", str(target))
    done.check_returncode()
    return len(json.loads(target.read_text())["components"])


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_SECONDS_MAX,
    )


def verdict(audits: Sequence[Audit], *, required: bool) -> int:
    """Exit code: 1 with a vulnerability, 3 if not all were audited although that is `required`."""
    for found in audits:
        print(f"{found.lock}: {found.audited} distributions audited")
        for vulnerability in found.vulnerabilities:
            print(f"  VULNERABLE {vulnerability}")
        if found.trouble:
            print(f"  NOT AUDITED: {found.trouble}. Run this where the database can be reached.")
    if any(found.vulnerabilities for found in audits):
        return VULNERABLE
    return NOT_AUDITED if required and any(found.trouble for found in audits) else 0


def main() -> int:
    """Command line of `make audit`."""
    parser = argparse.ArgumentParser(prog="dependency_audit", description=__doc__)
    parser.add_argument("--sbom-dir", type=Path, default=Path("build/sbom"))
    parser.add_argument(
        "--require", action="store_true", help="fail if some distribution could not be audited"
    )
    arguments = parser.parse_args()
    arguments.sbom_dir.mkdir(parents=True, exist_ok=True)
    for name in LOCKS:
        target = arguments.sbom_dir / f"{Path(name).stem}.cdx.json"
        print(f"{target}: {write_sbom(Path(name), target)} components (CycloneDX {SPECIFICATION})")
    return verdict([audit(Path(name)) for name in LOCKS], required=arguments.require)


if __name__ == "__main__":
    sys.exit(main())
