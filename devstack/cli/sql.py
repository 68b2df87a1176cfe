"""`paystream sql`: ask ClickHouse as an analyst."""

import atexit
import contextlib
import readline
import sys
from collections.abc import Mapping
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.table import Table

from devstack.cli.environment import environment, need
from devstack.cli.output import ClearError, console, error_console
from devstack.clickhouse_client import connect

_ROWS_SHOWN_MAX = 1_000
_HISTORY_LINES_MAX = 1_000


def sql(statement: str = "", *, format: str | None = None, env_file: Path | None = None) -> int:
    """Run one statement, or open a prompt, as the read-only analyst.

    Example: paystream sql "SELECT status, count() FROM payments GROUP BY status"

    Parameters
    ----------
    statement: One SELECT; without it a prompt opens (Ctrl-D leaves).
    format: A ClickHouse format such as CSVWithNames, JSON, Parquet; printed as it comes.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    client = _client(env)
    if not statement:
        return _prompt(client)
    try:
        _run(client, statement, format)
    except ClickHouseError as error:
        raise ClearError(_first_line(error)) from error
    return 0


def _client(env: Mapping[str, str]) -> Client:
    need(env, "CLICKHOUSE_URL")
    return connect(env.get("ANALYST_CLICKHOUSE_URL") or env["CLICKHOUSE_URL"], "paystream")


def _run(client: Client, statement: str, format: str | None) -> None:
    if format is not None:
        with client.raw_stream(statement, fmt=format) as chunks:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    with client.query_row_block_stream(statement) as blocks:
        rows: list[tuple[object, ...]] = []
        for block in blocks:
            rows += block[: _ROWS_SHOWN_MAX + 1 - len(rows)]
            if len(rows) > _ROWS_SHOWN_MAX:
                break
        names = blocks.source.column_names
    _print_rows(names, rows)


def _print_rows(names: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    table = Table(*names)
    for row in rows[:_ROWS_SHOWN_MAX]:
        table.add_row(*map(str, row))
    console.print(table)
    if len(rows) > _ROWS_SHOWN_MAX:
        error_console.print(f"only {_ROWS_SHOWN_MAX} rows are shown: use --format for all")


def _prompt(client: Client) -> int:
    _remember_lines()
    words = sorted(str(row[0]) for row in client.query("SHOW TABLES").result_rows)
    words += ["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "count()", "sum("]
    readline.set_completer(lambda text, i: _completion(words, text, i))
    readline.parse_and_bind("tab: complete")
    console.print(f"views: {', '.join(words[:-8])}", highlight=False)
    while True:
        try:
            line = input("paystream> ").strip().rstrip(";")
        except EOFError:
            return 0
        if line:
            try:
                _run(client, line, None)
            except ClickHouseError as error:
                error_console.print(_first_line(error), style="red", highlight=False)


def _completion(words: list[str], text: str, index: int) -> str | None:
    found = [word for word in words if word.lower().startswith(text.lower())]
    return found[index] if index < len(found) else None


def _remember_lines() -> None:
    history = Path.home() / ".paystream_sql_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LINES_MAX)
    atexit.register(_save_lines, history)


def _save_lines(history: Path) -> None:
    with contextlib.suppress(OSError):
        readline.write_history_file(history)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
