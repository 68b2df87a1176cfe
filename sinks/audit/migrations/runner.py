"""Applies the numbered SQL files through clickhouse_connect, on chDB and on a server alike."""

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from sinks.audit.settings import DatabaseNames

_FOLDER = Path(__file__).parent
_STATEMENT_END = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)

_RAW_DATABASE = """
CREATE DATABASE IF NOT EXISTS ${raw}
COMMENT 'Tables that the audit sink writes. A row may be here twice until a merge: read the views.'
"""
_BOOK = """
CREATE TABLE IF NOT EXISTS ${raw}.migrations
(
    name String COMMENT 'File name.',
    checksum String COMMENT 'SHA-256 of the file.',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied.'
)
ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
COMMENT 'Migrations that were applied to this database.'
"""


class AppliedMigrationChanged(Exception):
    """A file differs from what was applied under its name, or has gone."""


class MigrationStatus(StrEnum):
    """What the database says about one file."""

    APPLIED = "applied"
    PENDING = "pending"
    CHANGED = "changed"
    MISSING = "missing"


class Migration(NamedTuple):
    """One file: its name, its text with `${raw}` and `${views}`, the SHA-256 of that text."""

    name: str
    text: str
    checksum: str

    def statements(self, databases: DatabaseNames) -> list[str]:
        """The statements; one ends with a semicolon at the end of a line."""
        text = Template(_COMMENT_LINE.sub("", self.text)).substitute(
            raw=databases.raw, views=databases.views
        )
        return [part.strip() for part in _STATEMENT_END.split(text) if part.strip()]


def load_migrations(folder: Path = _FOLDER) -> list[Migration]:
    """All files of the folder in the order of their numbers."""
    return [
        Migration(path.name, text, hashlib.sha256(text.encode()).hexdigest())
        for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
        for text in [path.read_text(encoding="utf-8")]
    ]


def _applied(client: Client, databases: DatabaseNames) -> dict[str, str]:
    known = client.query(
        "SELECT count() FROM system.tables WHERE database = {raw:String} AND name = 'migrations'",
        parameters={"raw": databases.raw},
    )
    if not known.result_rows[0][0]:
        return {}
    rows = client.query(f"SELECT name, checksum FROM {databases.raw}.migrations FINAL").result_rows  # noqa: S608 - DatabaseNames admits identifiers only
    return {str(name): str(checksum) for name, checksum in rows}


def _status(migration: Migration, applied: dict[str, str]) -> MigrationStatus:
    checksum = applied.get(migration.name)
    if checksum is None:
        return MigrationStatus.PENDING
    return MigrationStatus.APPLIED if checksum == migration.checksum else MigrationStatus.CHANGED


def statuses(
    client: Client,
    databases: DatabaseNames | None = None,
    migrations: Sequence[Migration] | None = None,
) -> dict[str, MigrationStatus]:
    """File name -> status, in order; files that were applied and have gone come last."""
    databases = databases or DatabaseNames()
    files = load_migrations() if migrations is None else migrations
    applied = _applied(client, databases)
    found = {each.name: _status(each, applied) for each in files}
    gone = {name: MigrationStatus.MISSING for name in sorted(applied) if name not in found}
    return found | gone


def _refuse_changed(found: dict[str, MigrationStatus]) -> None:
    wrong = [f"{n} ({s})" for n, s in found.items() if s in ("changed", "missing")]
    if wrong:
        raise AppliedMigrationChanged(
            f"already applied, but not as in this release: {', '.join(wrong)}. "
            "Restore the files and put the change into a migration with a new number."
        )


def migrate(
    client: Client,
    databases: DatabaseNames | None = None,
    migrations: Sequence[Migration] | None = None,
) -> list[str]:
    """Apply what is pending, in order; answer its names. A second call applies nothing.

    Every statement may run twice, so a run that broke off is simply run again. Raises
    AppliedMigrationChanged before anything is touched if an applied file was changed.
    """
    databases = databases or DatabaseNames()
    files = load_migrations() if migrations is None else migrations
    found = statuses(client, databases, files)
    _refuse_changed(found)
    pending = [each for each in files if found[each.name] is MigrationStatus.PENDING]
    for migration in pending:
        _apply(client, databases, migration)
    return [each.name for each in pending]


def _apply(client: Client, databases: DatabaseNames, migration: Migration) -> None:
    for statement in (_RAW_DATABASE, _BOOK):
        client.command(Template(statement).substitute(raw=databases.raw))
    for statement in migration.statements(databases):
        client.command(statement)
    client.insert(
        "migrations",
        [[migration.name, migration.checksum]],
        database=databases.raw,
        column_names=["name", "checksum"],
        column_type_names=["String", "String"],
    )
