"""Applies the numbered SQL files through clickhouse_connect, on chDB and on a server alike."""

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from sinks.audit.migrations.rendering import materialized_views, rendered, time_column
from sinks.audit.settings import DatabaseNames
from sinks.audit.storage_layout import ONE_SERVER, Layout

_FOLDER = Path(__file__).parent
_STATEMENT_END = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)

_RAW_DATABASE = """
CREATE DATABASE IF NOT EXISTS ${raw}${on_cluster}
COMMENT 'Tables that the audit sink writes. A row may be here twice until a merge: read the views.'
"""
_BOOK = """
CREATE TABLE IF NOT EXISTS ${raw}.migrations${on_cluster}
(
    name String COMMENT 'File name.',
    checksum String COMMENT 'SHA-256 of the file.',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied.'
)
ENGINE = ${engine} ORDER BY name
COMMENT 'Migrations that were applied to this database.'
"""
_BOOK_ENGINE = "ReplacingMergeTree(applied_at)"
_BOOK_ENGINE_ON_CLUSTER = (
    "ReplicatedReplacingMergeTree('/clickhouse/tables/${raw}/migrations', '{shard}-{replica}',"
    " applied_at)"
)
"""One book for all shards: each server has a copy of it."""


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
    layout: Layout = ONE_SERVER,
) -> list[str]:
    """Apply what is pending, in order; answer its names. A second call applies nothing.

    Every statement may run twice, so a run that broke off is simply run again. A TTL or a storage
    policy that the layout names and a table does not have is given to it. Raises
    AppliedMigrationChanged before anything is touched if an applied file was changed.
    """
    databases = databases or DatabaseNames()
    files = load_migrations() if migrations is None else migrations
    pending = _pending(client, databases, files)
    for migration in pending:
        for statement in _beginning(databases, layout):
            client.command(statement)
        for statement in rendered_statements(migration, files, databases, layout):
            client.command(statement)
        _note(client, databases, migration)
    for statement in storage_changes(client, databases, layout):
        client.command(statement)
    return [each.name for each in pending]


def plan(client: Client, databases: DatabaseNames, layout: Layout) -> list[str]:
    """Every statement that `migrate` would run now, but for its notes of what it applied."""
    files = load_migrations()
    pending = _pending(client, databases, files)
    beginning = _beginning(databases, layout) if pending else []
    statements = [
        statement
        for migration in pending
        for statement in rendered_statements(migration, files, databases, layout)
    ]
    return [*beginning, *statements, *storage_changes(client, databases, layout)]


def rendered_statements(
    migration: Migration,
    all_files: Sequence[Migration],
    databases: DatabaseNames,
    layout: Layout,
) -> list[str]:
    """The migration's statements for this layout. Raises StatementUnknown."""
    everything = [text for each in all_files for text in each.statements(databases)]
    materialized = materialized_views(everything)
    return [
        each
        for statement in migration.statements(databases)
        for each in rendered(statement, databases, layout, materialized)
    ]


def storage_changes(client: Client, databases: DatabaseNames, layout: Layout) -> list[str]:
    """Statements that bring TTL and storage policy of the tables that exist to the layout."""
    tables = client.query(
        "SELECT name, engine_full FROM system.tables WHERE database = {raw:String}"
        " AND engine LIKE '%MergeTree' ORDER BY name",
        parameters={"raw": databases.raw},
    ).result_rows
    changes: list[str] = []
    for name, engine in tables:
        column = time_column(engine)
        if column is None:
            continue
        alter = f"ALTER TABLE {databases.raw}.{name}{layout.on_cluster}"
        policy, ttl = f"storage_policy = '{layout.storage_policy}'", layout.ttl(column)
        if layout.storage_policy and policy not in engine:
            changes.append(f"{alter} MODIFY SETTING {policy}")
        if ttl and f"TTL {ttl}" not in engine:
            changes.append(f"{alter} MODIFY TTL {ttl}")
        if not ttl and " TTL " in engine:
            changes.append(f"{alter} REMOVE TTL")
    return changes


def _pending(
    client: Client, databases: DatabaseNames, files: Sequence[Migration]
) -> list[Migration]:
    found = statuses(client, databases, files)
    _refuse_changed(found)
    return [each for each in files if found[each.name] is MigrationStatus.PENDING]


def _beginning(databases: DatabaseNames, layout: Layout) -> list[str]:
    engine = _BOOK_ENGINE_ON_CLUSTER if layout.cluster else _BOOK_ENGINE
    words = {
        "raw": databases.raw,
        "on_cluster": layout.on_cluster,
        "engine": Template(engine).substitute(raw=databases.raw),
    }
    return [Template(text).substitute(words).strip() for text in (_RAW_DATABASE, _BOOK)]


def _note(client: Client, databases: DatabaseNames, migration: Migration) -> None:
    client.insert(
        "migrations",
        [[migration.name, migration.checksum]],
        database=databases.raw,
        column_names=["name", "checksum"],
        column_type_names=["String", "String"],
    )
