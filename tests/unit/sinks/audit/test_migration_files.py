"""The migration files as text: numbers, statements, placeholders."""

import hashlib
import re
from pathlib import Path

import pytest

from sinks.audit.migrations import load_migrations
from sinks.audit.settings import DatabaseNames


def test_each_file_has_a_number_of_its_own_and_carries_its_checksum() -> None:
    files = load_migrations()
    numbers = [int(each.name[:4]) for each in files]
    assert numbers == sorted(set(numbers))
    for each in files:
        assert each.checksum == hashlib.sha256(each.text.encode()).hexdigest()


def test_statements_are_cut_at_semicolons_that_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "0001_two.sql").write_text(
        "-- a comment; with a semicolon\nSELECT 1; -- not an end\n;\n\nSELECT ';' FROM ${raw}.t;\n"
    )
    (tmp_path / "notes.sql").write_text("not a migration")
    [migration] = load_migrations(tmp_path)
    statements = migration.statements(DatabaseNames("r", "v"))
    assert statements == ["SELECT 1; -- not an end", "SELECT ';' FROM r.t"]


def test_every_statement_may_run_twice() -> None:
    """A run that broke off in the middle of a file is simply run again."""
    for migration in load_migrations():
        for statement in migration.statements(DatabaseNames()):
            head = " ".join(statement.split()[:8])
            again = ("CREATE OR REPLACE VIEW", "DROP TABLE IF EXISTS", "INSERT INTO")
            known = any(
                part in head for part in ("IF NOT EXISTS", "COMMENT COLUMN", "MODIFY SETTING")
            )
            assert known or head.startswith(again), head


def test_rows_that_a_migration_inserts_are_the_same_when_inserted_again() -> None:
    """Into tables whose engine makes one row of equal ones."""
    texts = [text for each in load_migrations() for text in each.statements(DatabaseNames())]
    targets = {text.split()[2] for text in texts if text.startswith("INSERT INTO")}
    for target in targets:
        [made] = [t for t in texts if t.startswith(f"CREATE TABLE IF NOT EXISTS {target}\n")]
        engine = made.split("ENGINE = ")[-1].split()[0]
        assert engine in ("ReplacingMergeTree", "AggregatingMergeTree")
        if engine == "AggregatingMergeTree":
            functions = set(re.findall(r"AggregateFunction\((\w+)", made))
            assert functions <= {"max", "min"}


@pytest.mark.parametrize("name", ["", "a b", "x;y", "1st", "a-b", "`a`"])
def test_a_database_name_is_an_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a database"):
        DatabaseNames(raw=name)


def test_raw_and_views_are_two_databases() -> None:
    with pytest.raises(ValueError, match="must be two"):
        DatabaseNames("same", "same")
