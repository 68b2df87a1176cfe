"""The engine is a library: a curated face, no words of this product, and a wheel of its own."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, tracked

import engine
from engine.consumers.dead_letters import DeadLetterReason as EngineReason
from schemas.enums import DeadLetterReason

FACE = {
    # an app and what it is made of
    "EngineApp",
    "EngineSettings",
    "BatchTopic",
    "TransactionalTable",
    "ParallelConsumer",
    "run_worker",
    # what an agent or a call gets and gives
    "Batch",
    "BatchStream",
    "CallResult",
    "PartitionView",
    "ProducerRecord",
    "Record",
    "Retry",
    "TableView",
    "TopicPartition",
    # what a failure looks like, what is measured
    "DeadLetterReason",
    "EncodeDeadLetter",
    "EngineError",
    "EngineStats",
    "RawRecord",
    "Replay",
    "Replays",
    "UnreadableState",
}
ALLOWED_SUBMODULES = {
    "engine.testing",  # the test kit: documented, but not imported by production
}
BEHIND_THE_FACE = {
    # measures the memory of one index entry and one store entry, without an app around it
    Path("bench/memory.py"): {"engine.state.due_index", "engine.state.store"},
}
OWN_WORDS = re.compile(r"paystream|payment|merchant|house\b|\blane|errand|\bslot\b", re.IGNORECASE)
PYPROJECT = """\
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "faust-transactions"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["faust-streaming==0.15.3", "aiokafka==0.14.0", "confluent-kafka==2.16.1", "msgspec"]

[tool.setuptools]
packages.find.include = ["engine*"]
package-data.engine = ["py.typed"]
"""


def test_the_face_is_what_was_decided() -> None:
    assert set(engine.__all__) == FACE
    assert sorted(engine.__all__) == engine.__all__
    assert all(hasattr(engine, name) for name in engine.__all__)


def engine_modules(path: Path) -> set[str]:
    """Submodules of the engine that a file imports."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("engine.")}


def test_nothing_reaches_behind_the_face() -> None:
    """Tests of the engine itself may."""
    outside = [path for path in tracked("*.py") if path.parts[0] not in ("engine", "tests")]
    found = {path: engine_modules(path) - ALLOWED_SUBMODULES for path in outside}
    assert {path: names for path, names in found.items() if names} == BEHIND_THE_FACE


def test_the_engine_speaks_of_no_product() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in tracked("engine/*.py")
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if OWN_WORDS.search(line)
    ]
    assert found == []


def test_the_engines_reasons_are_those_of_the_contract() -> None:
    """The engine has its own enum; a dead letter's consumers read the contract's."""
    assert {reason.name: reason.value for reason in EngineReason}.items() <= {
        reason.name: reason.value for reason in DeadLetterReason
    }.items()


def test_the_readme_has_the_project_file_that_is_tested() -> None:
    assert PYPROJECT in (ROOT / "engine/README.md").read_text()


@pytest.mark.slow
def test_a_wheel_of_the_engine_alone_can_be_imported(tmp_path: Path) -> None:
    for path in tracked("engine/*"):
        target = tmp_path / "source" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    (tmp_path / "source/pyproject.toml").write_text(PYPROJECT)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*pip, "--wheel-dir", tmp_path, tmp_path / "source"], check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("*.whl")
    script = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import engine, engine.testing"
        "; assert '.whl' in engine.__file__, engine.__file__"
        "; ours = {'schemas', 'runtime', 'workers', 'streams', 'sinks', 'paystream'}"
        "; assert not ours & {name.split('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, cwd=tmp_path)
