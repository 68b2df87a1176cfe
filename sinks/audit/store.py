"""Inserts into ClickHouse: rows of one batch, one native insert per table, or one clear error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError

from runtime import clickhouse
from runtime.clickhouse import UNAVAILABLE
from runtime.store_connections import ClickHouseConnection
from sinks.audit.raw_table import KafkaPosition, Row, Table
from sinks.audit.refusals import is_refusal
from sinks.audit.settings import DatabaseNames

_INSERT_SETTINGS = {
    "async_insert": 0,  # one block: a transaction is never half visible
    "distributed_foreground_insert": 1,  # on a cluster: acknowledged by the shards
    "parallel_view_processing": 1,  # rollups of one insert beside each other
    "max_partitions_per_insert_block": 0,  # tables are divided by month: any time is taken
    "optimize_on_insert": 0,  # repeated rows are for FINAL and merges, as between inserts
}


class LedgerUnavailable(Exception):
    """ClickHouse did not acknowledge. The rows may have arrived: insert them again."""


class RowsRefused(ValueError):
    """A value does not fit its column, or ClickHouse refused the rows: see `refusals`."""


class DecodedRecord(NamedTuple):
    """A decoded record and its Kafka position."""

    value: Any
    position: KafkaPosition


def rows_of(table: Table, records: Iterable[DecodedRecord]) -> list[Row]:
    """All rows of the records, in order. Raises UnbalancedTransaction for an invalid event."""
    return [row for value, position in records for row in table.rows(value, position)]


def connect(where: ClickHouseConnection, timeout_seconds: int) -> Client:
    """A client; its inserts are synchronous even if the server's default is not.

    Raises LedgerUnavailable.
    """
    try:
        return clickhouse.connect(where, timeout_seconds)
    except UNAVAILABLE as error:
        raise LedgerUnavailable(f"ClickHouse does not respond: {error}") from error


class LedgerStore:
    """Inserts rows; connects at the first use and again after an error. Not thread-safe."""

    def __init__(
        self, where: ClickHouseConnection, databases: DatabaseNames, timeout_seconds: int
    ) -> None:
        self._where = where
        self._databases = databases
        self._timeout_seconds = timeout_seconds
        self._client: Client | None = None

    def new_connection(self) -> LedgerStore:
        """The same with a connection of its own, for another thread."""
        return LedgerStore(self._where, self._databases, self._timeout_seconds)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """All rows in one statement, acknowledged.

        Raises RowsRefused, and LedgerUnavailable: then all of the rows may be there, or none.
        Inserting the same rows again is safe.
        """
        if not rows:
            return
        names, types = zip(*table.columns, strict=True)
        with self._inserting(table):
            client = self._connected()
            context = client.create_insert_context(
                table.name,
                column_names=names,
                column_type_names=types,
                database=self._databases.raw,
                column_oriented=True,
                settings=_INSERT_SETTINGS,
            )
            try:
                client.insert(data=list(zip(*rows, strict=True)), context=context)
            finally:
                vars(context).clear()  # a reference cycle would keep the rows in memory

    def insert_blocks(self, table: Table, blocks: bytes) -> None:
        """The same for rows that are encoded as blocks of the Native format."""
        if not blocks:
            return
        with self._inserting(table):
            self._connected().raw_insert(
                f"{self._databases.raw}.{table.name}",
                [name for name, _ in table.columns],
                memoryview(blocks),  # type: ignore[arg-type] # bytes would be copied
                fmt="Native",
                settings=_INSERT_SETTINGS,
            )

    @contextmanager
    def _inserting(self, table: Table) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise RowsRefused(f"rows of {table.name}: {error}") from error
        except UNAVAILABLE as error:
            if is_refusal(error):
                raise RowsRefused(f"rows of {table.name}: {error}") from error
            self.close()
            raise LedgerUnavailable(f"insert into {table.name}: {error}") from error

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows by column name; `{raw}` is the raw database. Raises LedgerUnavailable."""
        try:
            sql = sql.replace("{raw}", self._databases.raw)
            found = self._connected().query(sql, parameters=dict(parameters))
            return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
        except UNAVAILABLE as error:
            self.close()
            raise LedgerUnavailable(f"ClickHouse does not respond: {error}") from error

    def check_schema(self, tables: Iterable[Table]) -> None:
        """Connect and check that every table has the columns that are written.

        Raises LedgerUnavailable, also while the migrations are not applied.
        """
        try:
            for table in tables:
                names = ", ".join(name for name, _ in table.columns)
                self._connected().query(
                    f"SELECT {names} FROM {self._databases.raw}.{table.name} LIMIT 0"  # noqa: S608 - our own names
                )
        except UNAVAILABLE as error:
            self.close()
            raise LedgerUnavailable(f"ClickHouse is not ready for the sink: {error}") from error

    def close(self) -> None:
        """Drop the connection; the next insert makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._where, self._timeout_seconds)
        return self._client
