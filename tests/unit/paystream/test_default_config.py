"""The annotated default configuration is what the processes would read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from paystream.generate.default_config import SECTIONS, default_config, settings_type
from runtime.settings import load

ROOT = Path(__file__).resolve().parents[3]
ROOMS = (
    "runtime",
    "engine",
    "ingest_api",
    "streams",
    "sinks",
    "dashboards",
    "workers",
    "paystream",
    "devstack",
)
LOADERS = {"load", "load_settings"}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_loads_back_as_the_defaults(section: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(default_config())
    assert (
        load(settings_type(section), section, {"PAYSTREAM_CONFIG": str(path)})
        == settings_type(section)()
    )


def test_every_setting_of_a_section_stands_in_the_file() -> None:
    parts = default_config().split("\n[")
    for section in SECTIONS:
        [text] = [part for part in parts if part.startswith(f"{section}]")]
        for field in msgspec.structs.fields(settings_type(section)):
            assert f"\n{field.name} = " in text or f"\n# {field.name} = " in text, field.name


def loaded() -> Iterator[tuple[str, str]]:
    """(section, type name) of every `load(Type, "section", …)` of the rooms."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _is_load(node):
                    cls, section = node.args[:2]
                    assert isinstance(cls, ast.Name)
                    assert isinstance(section, ast.Constant)
                    yield str(section.value), cls.id


def _is_load(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in LOADERS and len(node.args) >= 3


def test_every_type_that_a_process_loads_is_a_section() -> None:
    found = set(loaded())
    assert len(found) >= 10
    assert found == {(section, name) for section, (_, name) in SECTIONS.items()}
