"""The prompt of `paystream sql`: lines to statements, completion, answers as tables."""

import atexit
import contextlib
import readline
import time
from pathlib import Path

import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.table import Table
from rich.text import Text

from paystream.cli.output import console, error_console

ROWS_SHOWN_MAX = 1_000
_HISTORY_LINES_MAX = 1_000
_STATEMENT_LINES_MAX = 1_000
_FIRST, _NEXT = "paystream> ", "        -> "
_KEYWORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "HAVING", "INNER JOIN"),
    *("LEFT JOIN", "WITH", "UNION ALL", "DISTINCT", "DESC", "EXPLAIN", "SHOW TABLES"),
)
_WORDS = """
SELECT name FROM system.tables WHERE database = currentDatabase()
UNION DISTINCT SELECT name FROM system.columns WHERE database = currentDatabase()
UNION DISTINCT SELECT concat(name, '(') FROM system.functions
"""
_VIEWS = (
    "SELECT name AS view, comment AS meaning FROM system.tables"
    " WHERE database = currentDatabase() ORDER BY name"
)
_COLUMNS = (
    "SELECT name AS column, type, comment AS meaning FROM system.columns"
    " WHERE database = currentDatabase() AND table = {view:String} ORDER BY position"
)
_HELP = (
    "statements end with ; or an empty line · \\d views · \\d VIEW columns · \\q or Ctrl-D leaves"
)


def prompt(client: Client) -> int:
    """Read statements and answer them until the end of the input."""
    _remember_lines()
    words = sorted(str(row[0]) for row in client.query(_WORDS).result_rows)
    readline.set_completer(lambda text, index: completion(words, text, index))
    readline.parse_and_bind("tab: complete")
    console.print(_HELP, highlight=False)
    while (statement := _statement()) is not None:
        if statement in ("\\q", "exit", "quit"):
            break
        if statement:
            _answer(client, statement)
    return 0


def completion(words: list[str], text: str, index: int) -> str | None:
    """The index-th word that the text may become; keywords first, case does not matter."""
    small = text.lower()
    found = [word for word in (*_KEYWORDS, *words) if word.lower().startswith(small)]
    return found[index] if index < len(found) else None


def print_answer(client: Client, statement: str, **parameters: str) -> None:
    """A table of at most ROWS_SHOWN_MAX rows; says so if there are more."""
    began = time.monotonic()
    with client.query_row_block_stream(statement, parameters=parameters or None) as blocks:
        rows: list[tuple[object, ...]] = []
        for block in blocks:
            rows += block[: ROWS_SHOWN_MAX + 1 - len(rows)]
            if len(rows) > ROWS_SHOWN_MAX:
                break
        names = blocks.source.column_names
        types = blocks.source.column_types
    seconds = time.monotonic() - began
    table = Table()
    for name, kind in zip(names, types, strict=True):
        is_number = kind.name.startswith(("Int", "UInt", "Float", "Decimal"))
        table.add_column(Text(name), justify="right" if is_number else "left")
    for row in rows[:ROWS_SHOWN_MAX]:
        table.add_row(*map(_cell, row))
    console.print(table)
    if len(rows) > ROWS_SHOWN_MAX:
        error_console.print(f"only {ROWS_SHOWN_MAX} rows are shown: use --format for all")
    else:
        error_console.print(f"{len(rows)} rows, {seconds:.3f} s", style="dim", highlight=False)


def first_line(error: Exception) -> str:
    """What went wrong, without the rest."""
    return (str(error).strip() or repr(error)).splitlines()[0]


def _cell(value: object) -> Text:
    return Text("NULL", style="dim") if value is None else Text(str(value))


def _answer(client: Client, statement: str) -> None:
    try:
        if statement in ("\\?", "help"):
            console.print(_HELP, highlight=False)
        elif statement == "\\d":
            print_answer(client, _VIEWS)
        elif statement.startswith("\\d "):
            print_answer(client, _COLUMNS, view=statement[3:].strip())
        else:
            print_answer(client, statement)
    except (ClickHouseError, urllib3.exceptions.HTTPError) as error:
        error_console.print(first_line(error), style="red", highlight=False, markup=False)
    except KeyboardInterrupt:
        error_console.print("interrupted", style="dim")


def _statement() -> str | None:
    """Lines until one ends with `;`, is empty, or is a command; None at the end of the input."""
    lines: list[str] = []
    while len(lines) < _STATEMENT_LINES_MAX:
        try:
            line = input(_NEXT if lines else _FIRST).strip()
        except EOFError:
            return None
        except KeyboardInterrupt:
            print()
            return ""
        lines.append(line)
        if not line or line.endswith(";") or line.startswith("\\") or line in ("exit", "quit"):
            break
    return "\n".join(lines).strip().rstrip(";")


def _remember_lines() -> None:
    history = Path.home() / ".paystream_sql_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LINES_MAX)
    atexit.register(_save_lines, history)


def _save_lines(history: Path) -> None:
    with contextlib.suppress(OSError):
        readline.write_history_file(history)
