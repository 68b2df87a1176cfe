"""`paystream sql`: ask ClickHouse as an analyst."""

import sys
from collections.abc import Mapping
from pathlib import Path

import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError
from runtime.clickhouse import connect
from runtime.settings import connections

STATEMENT_CHARACTERS_MAX = 1_000_000


def sql(statement: str = "", *, format: str | None = None, env_file: Path | None = None) -> int:
    """Run one statement, or open a prompt, as the read-only analyst.

    In the prompt a statement ends with `;` or an empty line, Tab completes views, columns and
    functions, `\\d` lists the views, `\\d VIEW` says what its columns mean, Ctrl-D leaves. Without
    a terminal the statement is read from standard input.

    Example: paystream sql "SELECT status, count() FROM payments GROUP BY status"

    Args:
        statement: One SELECT; without it a prompt opens.
        format: A ClickHouse format such as CSVWithNames, JSON, Parquet; printed as it comes.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.cli.sql_prompt import first_line, print_answer, prompt

    client = _client(environment(env_file))
    if not statement and sys.stdin.isatty():
        return prompt(client)
    statement = (statement or sys.stdin.read(STATEMENT_CHARACTERS_MAX)).strip().rstrip(";")
    if not statement:
        raise CliError(
            "No statement was given and standard input is empty. Give a statement as an argument."
        )
    try:
        if format is None:
            print_answer(client, statement)
        else:
            _print_raw(client, statement, format)
    except (ClickHouseError, urllib3.exceptions.HTTPError) as error:
        raise CliError(first_line(error)) from error
    return 0


def _client(env: Mapping[str, str]) -> Client:
    """As the analyst; with the owner's address at least unable to write."""
    need(env, "CLICKHOUSE_URL")
    at = connections(env)
    client = connect(at.analyst, database="paystream")
    if at.analyst_clickhouse_url:
        return client
    client.set_client_setting("readonly", "2")
    return client


def _print_raw(client: Client, statement: str, format: str) -> None:
    with client.raw_stream(statement, fmt=format) as chunks:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
