"""What the read-only user may read.

The rule: SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN, run with ClickHouse's `readonly=1`, over
tables and views of database `paystream` whose name does not begin with `_`, a few harmless tables
of `system`, and generators such as `numbers()`. Functions that read files or other tables by a
string are refused. The names are those of ClickHouse's own parser (`EXPLAIN AST`); what a view
reads inside is the view's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devstack.clickhouse_http.errors import (
    ACCESS_DENIED,
    CANNOT_PARSE_NUMBER,
    READONLY,
    ClickHouseError,
    refused,
)

DATABASE = "paystream"
SYSTEM_TABLES = frozenset(
    [
        "settings",
        "columns",
        "tables",
        "databases",
        "functions",
        "one",
        "numbers",
        "formats",
        "data_type_families",
        "table_functions",
        "time_zones",
        "keywords",
        "build_options",
    ]
)
TABLE_FUNCTIONS = frozenset(
    ["numbers", "numbers_mt", "zeros", "generateSeries", "generate_series", "values", "view"]
)
STATEMENTS = frozenset(
    [
        "SelectWithUnionQuery",
        "SelectQuery",
        "SelectIntersectExceptQuery",
        "ShowTables",
        "ShowColumns",
        "ShowFunctions",
        "ShowSetting",
        "ShowCreateTableQuery",
        "ShowCreateViewQuery",
        "DescribeQuery",
        "Explain",
        "ExistsTableQuery",
        "ExistsViewQuery",
        "ExistsDatabaseQuery",
    ]
)
# What the catalogue shows, also to SHOW TABLES: a server shows what one has a grant on.
_SHOWN = "database IN ('paystream', 'system') AND NOT startsWith({name}, '_')"
CATALOGUE_FILTERS = (
    "{'system.tables': '" + _SHOWN.format(name="name").replace("'", "\\'") + "',"
    " 'system.columns': '" + _SHOWN.format(name="table").replace("'", "\\'") + "',"
    " 'system.databases': 'name IN (\\'paystream\\', \\'system\\')'}"
)
# Functions that reach what no name in the query shows; matched without case.
_FUNCTIONS_REFUSED = re.compile(
    r"\A(file|url|joinGet\w*|dict\w*|hasColumnInTable|executable\w*|python\w*|ai[A-Z_]\w*|llm\w*"
    r"|catboost\w*|naiveBayes\w*|getMacro|merge|loop|remote\w*|cluster\w*|input|initializeAggregation"
    r"|evalMLMethod|sleep\w*)\Z",
    re.IGNORECASE,
)
_LINE = re.compile(r"^( *)(\w+)(?: (.*?))?(?: \(children \d+\))?$")
_NAMED_SETTINGS = re.compile(r"\A(output_format_|format_|date_time_output_format|max_block_size)")
_IDENTIFIER_PARAMETER = re.compile(r"\{\s*\w+\s*:\s*Identifier\s*\}", re.IGNORECASE)


LIMITS = frozenset(
    ["max_execution_time", "max_memory_usage", "max_result_rows", "max_result_bytes", "max_threads"]
)
"""Clients such as Grafana and JDBC send these with each query: they may lower a limit."""
_NO_EFFECT = frozenset(["readonly", "session_timezone", "result_overflow_mode", "log_comment"])
"""Settings of the same clients that take nothing from the rule; `readonly` stays what it is."""


def permitted_settings(settings: Mapping[str, str], limits: Mapping[str, str]) -> dict[str, str]:
    """The settings of a query by a reader, each limit at most the user's own.

    How the answer looks may be set; code 164 for anything else, as with `readonly=1`.
    """
    permitted = {}
    for name, value in settings.items():
        if name in LIMITS:
            permitted[name] = _lower(name, value, limits.get(name))
        elif name == "readonly":
            continue
        elif name in _NO_EFFECT or _NAMED_SETTINGS.match(name):
            permitted[name] = value
        else:
            raise refused(READONLY, "READONLY", f"Cannot modify '{name}' setting in readonly mode.")
    return permitted


def _lower(name: str, value: str, limit: str | None) -> str:
    """The smaller of both; 0 means without limit, and gets the limit."""
    try:
        wanted = float(value)
    except ValueError as error:
        sentence = f"Cannot parse '{value}' as the value of setting '{name}'."
        raise refused(CANNOT_PARSE_NUMBER, "CANNOT_PARSE_NUMBER", sentence) from error
    if limit is None:
        return value
    return value if 0 < wanted <= float(limit) else limit


def check_database(name: str | None) -> None:
    """The database that unqualified names mean."""
    if name not in (None, DATABASE, "default"):
        raise _denied(f"database {name}")


def check_text(sql: str) -> None:
    """Names that only come with the parameters cannot be checked."""
    if _IDENTIFIER_PARAMETER.search(sql):
        raise _denied("a name given as an Identifier parameter")


def check_syntax_tree(tree: str, databases: frozenset[str]) -> None:
    """Check the text of `EXPLAIN AST`; code 164 for statements, 497 for names.

    `databases` are those that exist: a name that begins with one of them may mean its table.
    """
    lines = [found.groups() for line in tree.splitlines() if (found := _LINE.match(line))]
    if not lines or lines[0][1] not in STATEMENTS:
        kind = lines[0][1] if lines else "Nothing"
        raise refused(READONLY, "READONLY", f"analyst: {kind}: Cannot execute in readonly mode.")
    above: str = lines[0][1]
    for _, node, detail in lines:
        _check_node(node, detail or "", above, databases)
        above = node


def _check_node(node: str, detail: str, above: str, databases: frozenset[str]) -> None:
    if node in STATEMENTS and node.startswith(("ShowCreate", "Exists")):
        _check_table(".".join(detail.split()))
    elif node == "TableIdentifier":
        _check_table(_plain(detail))
    elif node == "Identifier":
        _check_identifier(_plain(detail), databases)
    elif node == "Function":
        _check_function(detail.split(" ", maxsplit=1)[0], is_table=above == "TableExpression")


def _plain(detail: str) -> str:
    return detail.split(" (alias ", maxsplit=1)[0].replace("`", "")


def _check_function(name: str, is_table: bool) -> None:
    if is_table and name not in TABLE_FUNCTIONS:
        raise _denied(f"table function {name}")
    if not is_table and _FUNCTIONS_REFUSED.match(name):
        raise _denied(f"function {name}")


def _check_table(name: str) -> None:
    database, _, table = name.rpartition(".")
    if database == "system" and table in SYSTEM_TABLES:
        return
    if database not in ("", DATABASE) or table.startswith("_"):
        raise _denied(f"table {name}")


def _check_identifier(name: str, databases: frozenset[str]) -> None:
    """A name outside of FROM may be a column or a table: `x IN _payments`, `x IN system.users`."""
    first, _, rest = name.partition(".")
    if name.startswith("_") or (rest and first in databases):
        _check_table(name)


def _denied(what: str) -> ClickHouseError:
    return refused(
        ACCESS_DENIED,
        "ACCESS_DENIED",
        f"analyst: Not enough privileges for {what}: the read-only user reads the views of"
        f" {DATABASE} (SHOW TABLES FROM {DATABASE} lists them; names with _ are internal).",
    )
