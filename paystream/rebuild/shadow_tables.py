"""The second database: made by the migrations, filled beside the live one, kept or dropped."""

from __future__ import annotations

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client

from engine import TopicPartition
from paystream.rebuild.checksums import Bounds
from paystream.rebuild.row_writer import RowWriter
from runtime.clock import now_ms
from runtime.store_connections import ClickHouseConnection
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from sinks.audit.storage_layout import Layout
from sinks.audit.tables import TABLES

_BUILDING = "_rebuild_"
_REPLACED = "_replaced_"


class ShadowTables:
    """The tables that are to take the live ones' source."""

    def __init__(
        self, client: Client, where: ClickHouseConnection, live: str, layout: Layout
    ) -> None:
        self._client = client
        self._live = live
        self._layout = layout
        self.database = f"{live}{_BUILDING}{now_ms()}"
        self._names = DatabaseNames(self.database, f"{self.database}_views")
        self.writer = RowWriter(where, self._names)

    def create(self) -> None:
        """Empty tables as in this release; what earlier runs left behind is dropped.

        Another rebuild that runs just now loses its tables and ends with an error: the live ones
        are not concerned, for each run swaps none but its own.
        """
        for name in _databases(self._client, f"{self._live}{_BUILDING}"):
            _drop(self._client, name)
        migrate(self._client, self._names, layout=self._layout)
        _drop(self._client, self._names.views)

    def keep_expired(self, begins: Mapping[TopicPartition, int]) -> None:
        """Copy the rows that are older than Kafka's log from the live tables."""
        older = Bounds(begins).condition()
        for table in TABLES:
            columns = ", ".join(name for name, _ in table.columns)
            self._client.command(
                f"INSERT INTO {self.database}.{table.name} ({columns})"  # noqa: S608 - our names
                f" SELECT {columns} FROM {self._live}.{table.name} FINAL WHERE {older}"
            )

    def drop(self) -> None:
        """Drop the database with all tables that are in it now."""
        self.writer.close()
        _drop(self._client, self.database)

    def keep_as_replaced(self) -> str:
        """Keep the replaced tables under a new name; returns the name."""
        self.writer.close()
        name = self.database.replace(_BUILDING, _REPLACED)
        for (view,) in self._client.query(
            "SELECT name FROM system.tables WHERE database = {database:String}"
            " AND engine = 'MaterializedView'",
            parameters={"database": self.database},
        ).result_rows:
            self._client.command(f"DROP TABLE {self.database}.{view} SYNC")
        self._client.command(f"RENAME DATABASE {self.database} TO {name}")
        return name


def older_rows(
    client: Client, database: str, begins: Mapping[TopicPartition, int]
) -> dict[str, int]:
    """Table -> rows whose records Kafka no longer has; tables without such rows are left out."""
    counts: dict[str, int] = {}
    for table in TABLES:
        [(rows,)] = client.query(
            f"SELECT count() FROM {database}.{table.name} FINAL"  # noqa: S608 - our names
            f" WHERE {Bounds(begins).condition()}"
        ).result_rows
        if rows:
            counts[table.name] = int(rows)
    return counts


def _databases(client: Client, prefix: str) -> list[str]:
    rows = client.query(
        "SELECT name FROM system.databases WHERE startsWith(name, {prefix:String})",
        parameters={"prefix": prefix},
    ).result_rows
    return [str(name) for (name,) in rows]


def _drop(client: Client, database: str) -> None:
    client.command(f"DROP DATABASE IF EXISTS {database} SYNC")
