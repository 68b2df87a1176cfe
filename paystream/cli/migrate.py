"""`paystream migrate`: bring ClickHouse's tables and views to this release."""

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json
from runtime.clickhouse import connect


def migrate(
    *, status: bool = False, show: bool = False, json: bool = False, env_file: Path | None = None
) -> int:
    """Apply the migrations that ClickHouse has not seen yet.

    The numbered files are the same for one server and for a cluster: the settings of section
    [ledger] (cluster, storage policy, days until rows are cold) are put in when they are applied,
    and a changed TTL or storage policy is given to the tables that exist.

    Example: paystream migrate

    Args:
        status: Say of each file whether it was applied; change nothing. Exit code 1 if one was not.
        show: Print the SQL that would run now; change nothing.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from runtime.settings import connections, load
    from sinks.audit import migrations
    from sinks.audit.settings import AuditSettings
    from sinks.audit.storage_layout import Layout

    env = environment(env_file)
    need(env, "CLICKHOUSE_URL")
    names, layout = load(AuditSettings, "audit", env).databases, load(Layout, "ledger", env)
    with connect(connections(env).clickhouse) as client:
        if status:
            return _print_status(migrations.statuses(client, names), json=json)
        try:
            if show:
                return _print_plan(migrations.plan(client, names, layout), json=json)
            applied = migrations.migrate(client, names, layout=layout)
        except migrations.AppliedMigrationChanged as error:
            raise CliError(str(error)) from error
    if json:
        print_json({"applied": applied})
    else:
        console.print(f"applied {len(applied)}: {', '.join(applied) or 'nothing was missing'}")
    return 0


def _print_status(found: Mapping[str, str], *, json: bool) -> int:
    if json:
        print_json(found)
    else:
        table = Table("migration", "status")
        for name, status in found.items():
            table.add_row(name, status)
        console.print(table)
    return 0 if set(found.values()) <= {"applied"} else 1


def _print_plan(statements: list[str], *, json: bool) -> int:
    if json:
        print_json({"statements": statements})
    else:
        sys.stdout.write("".join(f"{statement};\n\n" for statement in statements))
    return 0
