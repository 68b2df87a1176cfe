"""`paystream rebuild ledger`: the ledger's tables again from Kafka, compared, and swapped in.

1. Read the sink's topics from the log's start into a second database, while the live sink goes on.
2. Compare each table's checksum up to where both sides are; stop if one differs.
3. Follow Kafka until little is missing; put up a fence, at which the sink's inserts are refused and
   tried again; read to Kafka's end; compare the rest; exchange the tables.
4. Read what came meanwhile into the live tables once more, whichever writer wrote it before.

Who reads the views sees no row less than before at any moment (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from engine import TopicPartition
from paystream.rebuild.checksums import Bounds, Compared, checksum, examples, live_ends
from paystream.rebuild.exchange import Fence, exchange, fed_tables
from paystream.rebuild.log_reader import LogReader
from paystream.rebuild.row_writer import RowWriter
from paystream.rebuild.shadow_tables import ShadowTables, older_rows
from runtime.clickhouse import connect
from runtime.settings import connections, load
from sinks.audit.app import SOURCES
from sinks.audit.migrations import MigrationStatus, statuses
from sinks.audit.settings import AuditSettings, DatabaseNames
from sinks.audit.storage_layout import Layout
from sinks.audit.tables import TABLES

COMPARED = tuple(table.name for table in TABLES)
FENCE_SECONDS = 120
_FENCE_SECONDS_LEFT_MIN = 45.0
_SWAP_TRIES_MAX = 3
_FOLLOW_ROUNDS_MAX = 100
_CLOSE_OFFSETS = 5_000


class RebuildFailed(Exception):
    """The live tables are unchanged; the message says why and what to do."""


class Rebuilt(NamedTuple):
    """What was built, the result of the comparison, and whether the tables were swapped."""

    tables: Sequence[Compared]
    examples: Mapping[str, Sequence[str]]
    """Table -> where rows differ."""
    records: int
    unreadable: int
    """Records that make no row: they are in the dead letters."""
    kept_older: Mapping[str, int]
    """Table -> rows that were copied, since Kafka no longer has their records."""
    swapped: bool
    replaced: str | None
    """Database that keeps replaced tables which were not the same."""


class RebuildOptions(NamedTuple):
    """What the operator asked for, and where progress is reported."""

    force: bool = False
    """Swap also if tables differ; the replaced ones are kept."""
    keep_expired: bool = False
    """Copy rows from the live tables whose records Kafka has deleted."""
    report: Callable[[str], None] = lambda sentence: None
    show: Callable[[Sequence[Compared]], None] = lambda tables: None
    """Gets the comparison before anything is swapped."""


def rebuild_ledger(env: Mapping[str, str], options: RebuildOptions = RebuildOptions()) -> Rebuilt:  # noqa: B008 - immutable
    """Build, compare, swap.

    Raises RebuildFailed, TopicUnreadable, LedgerUnavailable, ConfigurationError: the live tables
    are as they were. `swapped` is False if they differ and `force` was not asked for.
    """
    at = connections(env).need("kafka_bootstrap_servers", "clickhouse_url")
    names = load(AuditSettings, "audit", env).databases
    layout = load(Layout, "ledger", env)
    if layout.cluster:
        raise RebuildFailed(
            "The ledger's tables are on a cluster; `rebuild ledger` works on one server only. See"
            " docs/decisions/0020-rebuild-by-exchange.md."
        )
    with (
        closing(connect(at.clickhouse)) as client,
        closing(LogReader(at.kafka, list(SOURCES))) as reader,
    ):
        kept = _refuse_or_keep(client, names, reader, keep_expired=options.keep_expired)
        side = ShadowTables(client, at.clickhouse, names.raw, layout)
        try:
            side.create()
            if kept:
                side.keep_expired(reader.begins)
            rebuild = _Rebuild(client, names.raw, side, reader, options)
            tables, swapped = rebuild.run()
            if swapped:
                rebuild.read_on(RowWriter(at.clickhouse, names))
            return Rebuilt(
                tables=tables,
                examples=rebuild.examples,
                records=side.writer.records,
                unreadable=side.writer.unreadable,
                kept_older=kept,
                swapped=swapped,
                replaced=side.keep_as_replaced() if swapped and rebuild.examples else None,
            )
        finally:
            side.drop()


def _refuse_or_keep(
    client: Client, names: DatabaseNames, reader: LogReader, *, keep_expired: bool
) -> Mapping[str, int]:
    found = statuses(client, names).items()
    if wrong := [name for name, status in found if status is not MigrationStatus.APPLIED]:
        raise RebuildFailed(
            f"The live tables are not those of this release ({', '.join(wrong)})."
            " Run `paystream migrate` first."
        )
    cut = {source: begin for source, begin in reader.begins.items() if begin > 0}
    if not cut:
        return {}
    if not keep_expired:
        places = ", ".join(
            f"{topic}[{number}] from {begin}" for (topic, number), begin in cut.items()
        )
        raise RebuildFailed(
            f"Kafka has deleted the beginning of its log ({places}), so a rebuild would lose rows"
            " that ClickHouse has now. Give --keep-expired to copy these rows as they are."
        )
    return older_rows(client, names.raw, cut)


class _Rebuild:
    def __init__(
        self,
        client: Client,
        live: str,
        side: ShadowTables,
        reader: LogReader,
        options: RebuildOptions,
    ) -> None:
        self._client = client
        self._live = live
        self._side = side
        self._reader = reader
        self._options = options
        self.examples: dict[str, Sequence[str]] = {}

    def run(self) -> tuple[list[Compared], bool]:
        """Build, compare, swap; the comparison, and whether the tables were swapped."""
        self._read_to(self._reader.ends(), "built")
        ends = {table: self._both_have(table) for table in COMPARED}
        first = [self._compared(table, Bounds(ends[table])) for table in COMPARED]
        if not self._may_swap(first):
            self._options.show(first)
            return first, False
        fence = Fence(self._client, self._live, COMPARED, FENCE_SECONDS)
        for _ in range(_SWAP_TRIES_MAX):
            self._follow()
            fence.enable()
            try:
                self._read_to(self._reader.ends(), "followed")
                whole = [
                    table.plus(self._compared(table.table, Bounds(ends[table.table], below=False)))
                    for table in first
                ]
                may_swap = self._may_swap(whole)
                self._options.show(whole)
                if not may_swap:
                    return whole, False
                if fence.seconds_left() > _FENCE_SECONDS_LEFT_MIN:
                    tables = (*COMPARED, *fed_tables(self._client, self._live, COMPARED))
                    exchange(self._client, self._live, self._side.database, tables)
                    return whole, True
            finally:
                fence.disable()
        raise RebuildFailed(
            f"The last step took longer than {FENCE_SECONDS - _FENCE_SECONDS_LEFT_MIN:.0f} s"
            f" {_SWAP_TRIES_MAX} times. Run the command again when there is less traffic."
        )

    def read_on(self, writer: RowWriter) -> None:
        """What came until now into the tables that are live now; rows that are there stay so."""
        for messages in self._reader.read_to(self._reader.ends()):
            writer.insert(messages)
        writer.close()

    def _follow(self) -> None:
        for _ in range(_FOLLOW_ROUNDS_MAX):
            ends = self._reader.ends()
            if self._reader.behind(ends) < _CLOSE_OFFSETS:
                return
            self._read_to(ends, "followed")
        raise RebuildFailed(
            "Records arrive faster than they are read into the second database. Run the command"
            " again when there is less traffic."
        )

    def _read_to(self, ends: Mapping[TopicPartition, int], done: str) -> None:
        for messages in self._reader.read_to(ends):
            self._side.writer.insert(messages)
            left = self._reader.behind(ends)
            self._options.report(f"{self._side.writer.records} records {done}, {left} are left")

    def _both_have(self, table: str) -> dict[TopicPartition, int]:
        live = live_ends(self._client, self._live, table)
        return {
            source: min(end, live[source])
            for source, end in self._reader.positions.items()
            if source in live
        }

    def _compared(self, table: str, bounds: Bounds) -> Compared:
        self._options.report(f"comparing {table}")
        live = checksum(self._client, self._live, table, bounds)
        until = Bounds(live_ends(self._client, self._live, table))
        rebuilt = checksum(self._client, self._side.database, table, bounds, until)
        return Compared(table, live, rebuilt)

    def _may_swap(self, tables: Sequence[Compared]) -> bool:
        self.examples = {
            each.table: examples(
                self._client,
                self._live,
                self._side.database,
                each.table,
                live_ends(self._client, self._live, each.table),
            )
            for each in tables
            if not each.same
        }
        return self._options.force or not self.examples
