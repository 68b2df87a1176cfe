"""Run one request on the engine: an insert with its data, or a statement with its answer."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from devstack.clickhouse_http import analyst_rule, insert_data, native_block
from devstack.clickhouse_http.engine import Engine
from devstack.clickhouse_http.errors import READONLY, refused
from devstack.clickhouse_http.sql_text import InsertHead, Statement
from devstack.clickhouse_http.users import User

# The engine hands a streamed answer out block by block, each complete in its format. Only in these
# formats a row of blocks is the same as the whole; the others are made in one piece.
STREAMED_FORMATS = frozenset(
    [
        "Native",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "CSV",
        "RowBinary",
        "JSONEachRow",
        "JSONCompactEachRow",
        "LineAsString",
        "Null",
    ]
)


@dataclass(frozen=True)
class Asked:
    """A request, as far as the engine is concerned."""

    user: User
    database: str | None
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    default_format: str
    writes: bool


@dataclass
class Summary:
    """What `X-ClickHouse-Summary` reports; rows and bytes."""

    started_at: float = field(default_factory=time.perf_counter)
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0

    def as_json(self) -> str:
        """The header's value: numbers as strings, as the server sends them."""
        elapsed = int((time.perf_counter() - self.started_at) * 1e9)
        counts = {name: str(getattr(self, name)) for name in _COUNTS}
        return msgspec.json.encode({**counts, "elapsed_ns": str(elapsed)}).decode()


_COUNTS = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_rows")


def insert(engine: Engine, asked: Asked, head: InsertHead, data: memoryview) -> Summary:
    """Write the rows; when this returns they are in the table's parts on disk."""
    if asked.user.read_only:
        raise refused(READONLY, "READONLY", "analyst: Cannot execute query in readonly mode.")
    summary = Summary()
    with (
        insert_data.readable_by_path(data) as path,
        engine.connection(asked.user, asked.database, asked.settings, writes=True) as connection,
    ):
        written = connection.query(insert_data.statement(head, path), "Null")
    summary.written_rows = written.rows_written()
    summary.written_bytes = written.bytes_written()
    return summary


def answer(
    engine: Engine, asked: Asked, sql: Statement, summary: Summary
) -> Generator[bytes, None, None]:
    """The answer's bytes, piece by piece where the format allows it. Close the iterator early to
    stop the query."""
    user = asked.user
    with engine.connection(user, asked.database, asked.settings, writes=asked.writes) as connection:
        if user.read_only:
            _check_analyst(engine, connection, asked, sql)
        if _can_stream(asked, sql):
            yield from _streamed(connection, asked, sql, summary)
        else:
            yield _whole(connection, asked, sql, summary)


def format_of(asked: Asked, sql: Statement) -> str:
    """The format that the answer is in."""
    return sql.format_name or asked.default_format


def _check_analyst(engine: Engine, connection: Any, asked: Asked, sql: Statement) -> None:
    analyst_rule.check_text(sql.text)
    explain = f"EXPLAIN AST {sql.text}"
    tree = connection.query(explain, "TSVRaw", params=dict(asked.parameters)).bytes().decode()
    analyst_rule.check_syntax_tree(tree, engine.databases())


def _can_stream(asked: Asked, sql: Statement) -> bool:
    hidden_format = sql.mentions_format and sql.format_name is None
    return sql.reads_rows and not hidden_format and format_of(asked, sql) in STREAMED_FORMATS


def _whole(connection: Any, asked: Asked, sql: Statement, summary: Summary) -> bytes:
    result = connection.query(sql.text, asked.default_format, params=dict(asked.parameters))
    summary.read_rows = result.storage_rows_read()
    summary.read_bytes = result.storage_bytes_read()
    summary.written_rows = result.rows_written()
    summary.written_bytes = result.bytes_written()
    summary.result_rows = result.rows_read()
    return bytes(result.bytes() or b"")


def _streamed(
    connection: Any, asked: Asked, sql: Statement, summary: Summary
) -> Generator[bytes, None, None]:
    parameters = dict(asked.parameters)
    stream = connection.send_query(sql.text, asked.default_format, params=parameters)
    try:
        for block in stream:
            summary.result_rows += block.rows_read()
            summary.read_rows += block.rows_read()
            yield bytes(block.bytes())
    finally:
        stream.close()
    if summary.result_rows == 0 and format_of(asked, sql) == "Native":
        yield native_block.empty(connection, sql.without_format, parameters)
