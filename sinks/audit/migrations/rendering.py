"""The same numbered SQL files for one server, for a cluster, and with a cold volume (pure).

The files say what a table is; how it is spread and stored is put into its statement here, when it
is applied. So the checksum of a migration is that of its file, and one release fits every place.
docs/decisions/0019 says what is sharded by what.
"""

import re
from collections.abc import Callable, Iterable

from sinks.audit.settings import DatabaseNames
from sinks.audit.storage_layout import LOCAL_SUFFIX, Layout

_NAME = r"([A-Za-z_]\w*)"
_ENGINE = re.compile(r"\bENGINE = (\w*MergeTree)\b")
_SORTED_BY = re.compile(r"\bORDER BY (\([^)]*\)|\w+)")
_MONTH_OF = re.compile(r"\bPARTITION BY toYYYYMM\((\w+)\)")
_COMMENT = re.compile(r"\s*\bCOMMENT '(?:[^']|'')*'\s*\Z")
_SHARDED_BY = "merchant_id"


class StatementUnknown(ValueError):
    """A migration has a statement that this module cannot put on a cluster."""


def materialized_views(statements: Iterable[str]) -> frozenset[str]:
    """Names that these statements make as materialized views."""
    heads = (
        re.match(rf"CREATE MATERIALIZED VIEW IF NOT EXISTS \w+\.{_NAME}", s) for s in statements
    )
    return frozenset(found[1] for found in heads if found)


def rendered(
    statement: str,
    databases: DatabaseNames,
    layout: Layout,
    materialized: frozenset[str] = frozenset(),
) -> list[str]:
    """One statement of a file as the statements that this layout needs. Raises StatementUnknown."""
    if re.match(rf"CREATE TABLE IF NOT EXISTS {databases.raw}\.", statement):
        statement = _stored(statement, layout)
    if not layout.cluster:
        return [statement]
    for head, make in _KINDS:
        found = re.match(head.format(raw=databases.raw, name=_NAME), statement)
        if found:
            return make(statement, found, databases.raw, layout, materialized)
    raise StatementUnknown(
        f"`{' '.join(statement.split()[:6])} …` cannot be put on a cluster: write it as one of"
        " CREATE DATABASE, CREATE TABLE, CREATE MATERIALIZED VIEW … TO, CREATE OR REPLACE VIEW,"
        " ALTER TABLE, DROP, INSERT INTO … SELECT."
    )


def time_column(create_table: str) -> str | None:
    """The column that a table's monthly partitions are made of."""
    found = _MONTH_OF.search(create_table)
    return found[1] if found else None


def _stored(statement: str, layout: Layout) -> str:
    """With TTL and storage policy, which stand between ORDER BY and COMMENT."""
    column = time_column(statement)
    if column is None or not (layout.storage_policy or layout.cold_after_days):
        return statement
    comment = _COMMENT.search(statement)
    end = comment.start() if comment else len(statement)
    body, _, settings = statement[:end].partition("\nSETTINGS ")
    if layout.cold_after_days:
        body += f"\nTTL {layout.ttl(column)}"
    if layout.storage_policy:
        policy = f"storage_policy = '{layout.storage_policy}'"
        settings = f"{policy}, {settings}" if settings else policy
    return body + (f"\nSETTINGS {settings}" if settings else "") + statement[end:]


def _create_table(
    statement: str, found: re.Match[str], raw: str, layout: Layout, _: frozenset[str]
) -> list[str]:
    table = found[1]
    local = _named(statement, found, f"{raw}.{layout.local(table)}{layout.on_cluster}")
    sorted_by = _SORTED_BY.search(statement)
    if sorted_by is None or not _ENGINE.search(statement):
        raise StatementUnknown(f"{raw}.{table} needs a MergeTree engine with ORDER BY")
    key = [name.strip() for name in sorted_by[1].strip("()").split(",")]
    shard_by = _SHARDED_BY if key[0] == _SHARDED_BY else ", ".join(key)
    comment = _COMMENT.search(statement)
    return [
        _ENGINE.sub(r"ENGINE = Replicated\1", local),
        f"CREATE TABLE IF NOT EXISTS {raw}.{table}{layout.on_cluster}"
        f" AS {raw}.{table}{LOCAL_SUFFIX}\n"
        f"ENGINE = Distributed('{layout.cluster}', '{raw}', '{table}{LOCAL_SUFFIX}',"
        f" cityHash64({shard_by})){comment[0] if comment else ''}",
    ]


def _materialized_view(
    statement: str, found: re.Match[str], raw: str, layout: Layout, _: frozenset[str]
) -> list[str]:
    """It sees the inserts of its own shard, so it reads and writes the shard's tables."""
    made = _named(statement, found, f"{raw}.{found[1]}{layout.on_cluster}")
    return [re.sub(rf"\b(TO|FROM|JOIN) {raw}\.{_NAME}", rf"\1 {raw}.\2{LOCAL_SUFFIX}", made)]


def _alter(
    statement: str, found: re.Match[str], raw: str, layout: Layout, materialized: frozenset[str]
) -> list[str]:
    names = [found[1]] if found[1] in materialized else [layout.local(found[1]), found[1]]
    action = statement[found.end() :].split()
    if action[:2] not in (["ADD", "COLUMN"], ["COMMENT", "COLUMN"]):
        names = names[:1]  # what concerns how rows are stored
    return [_named(statement, found, f"{raw}.{name}{layout.on_cluster}") for name in names]


def _drop(
    statement: str, found: re.Match[str], raw: str, layout: Layout, materialized: frozenset[str]
) -> list[str]:
    names = [found[1]] if found[1] in materialized else [found[1], layout.local(found[1])]
    return [_named(statement, found, f"{raw}.{name}{layout.on_cluster}") for name in names]


def _head_only(
    statement: str, found: re.Match[str], raw: str, layout: Layout, _: frozenset[str]
) -> list[str]:
    return [statement[: found.end()] + layout.on_cluster + statement[found.end() :]]


def _as_it_is(
    statement: str, found: re.Match[str], raw: str, layout: Layout, _: frozenset[str]
) -> list[str]:
    return [statement]


def _named(statement: str, found: re.Match[str], name: str) -> str:
    """The statement with another name where its head ends."""
    head = found[0][: found[0].rindex(" ") + 1]
    return head + name + statement[found.end() :]


_Make = Callable[[str, re.Match[str], str, Layout, frozenset[str]], list[str]]
_KINDS: tuple[tuple[str, _Make], ...] = (
    (r"CREATE DATABASE IF NOT EXISTS {name}", _head_only),
    (r"CREATE TABLE IF NOT EXISTS {raw}\.{name}", _create_table),
    (r"CREATE MATERIALIZED VIEW IF NOT EXISTS {raw}\.{name}", _materialized_view),
    (r"CREATE OR REPLACE VIEW \w+\.{name}", _head_only),
    (r"ALTER TABLE {raw}\.{name}", _alter),
    (r"DROP (?:TABLE|VIEW) IF EXISTS {raw}\.{name}", _drop),
    (r"DROP VIEW IF EXISTS \w+\.{name}", _head_only),
    (r"INSERT INTO {raw}\.{name}", _as_it_is),
)
