"""Swaps the rebuilt tables with the live ones while the sink keeps running."""

from __future__ import annotations

import time
from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from sinks.audit.refusals import REBUILD_FENCE


class Fence:
    """While it is enabled, inserts into the tables fail and the sink tries again later.

    It is a constraint that ends by itself: a rebuild that dies leaves no sink refused for longer
    than `seconds`.
    """

    def __init__(self, client: Client, database: str, tables: Sequence[str], seconds: int) -> None:
        self._client = client
        self._names = [f"{database}.{table}" for table in tables]
        self._seconds = seconds
        self._ends_at = 0.0

    def enable(self) -> None:
        """From now on; one that another rebuild left is replaced."""
        self.disable()
        self._ends_at = time.monotonic() + self._seconds
        [(until,)] = self._client.query(
            f"SELECT toUnixTimestamp(now()) + {self._seconds}"
        ).result_rows
        for name in self._names:
            self._client.command(
                f"ALTER TABLE {name} ADD CONSTRAINT {REBUILD_FENCE}"
                f" CHECK toUnixTimestamp(now()) >= {until}"
            )

    def disable(self) -> None:
        """Inserts are accepted again."""
        for name in self._names:
            self._client.command(f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {REBUILD_FENCE}")

    def seconds_left(self) -> float:
        """Until it ends by itself."""
        return self._ends_at - time.monotonic()


def fed_tables(client: Client, database: str, sources: Sequence[str]) -> list[str]:
    """Tables that materialized views fill from these: they are to be exchanged with them."""
    rows = client.query(
        "SELECT DISTINCT extract(create_table_query, ' TO \\\\w+\\\\.(\\\\w+)') AS fed"
        " FROM system.tables WHERE database = {database:String} AND engine = 'MaterializedView'"
        " AND extract(create_table_query, 'FROM \\\\w+\\\\.(\\\\w+)') IN {sources:Array(String)}"
        " ORDER BY fed",
        parameters={"database": database, "sources": list(sources)},
    ).result_rows
    return [str(name) for (name,) in rows if name]


def exchange(client: Client, live: str, side: str, tables: Sequence[str]) -> None:
    """Each table of `live` takes the source of its namesake in `side` and the other way round.

    Views and materialized views name tables, so they read the new ones from then on.
    """
    pairs = ", ".join(f"{live}.{table} AND {side}.{table}" for table in tables)
    client.command(f"EXCHANGE TABLES {pairs}")
