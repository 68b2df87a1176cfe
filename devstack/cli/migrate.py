"""`paystream migrate`: bring ClickHouse's tables and views to this release."""

from pathlib import Path

from devstack.cli.environment import environment, need
from devstack.cli.output import console, print_json
from devstack.clickhouse_client import connect


def migrate(*, json: bool = False, env_file: Path | None = None) -> int:
    """Apply the migrations that ClickHouse has not seen yet.

    Example: paystream migrate

    Parameters
    ----------
    json: Print JSON.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    from sinks.audit.migrations import migrate as apply

    env = environment(env_file)
    need(env, "CLICKHOUSE_URL")
    applied = apply(connect(env["CLICKHOUSE_URL"]))
    if json:
        print_json({"applied": applied})
    else:
        console.print(f"applied {len(applied)}: {', '.join(applied) or 'nothing was missing'}")
    return 0
