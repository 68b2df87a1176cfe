"""The ledger's rate: bytes of payments.events in, rows acknowledged by ClickHouse out."""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.domain import create_command, payment_history
from bench.figures import Figure
from bench.options import Options
from devstack.services import clickhouse
from devstack.services.child import Child
from devstack.services.ports import free_port
from runtime.kafka_connection import KafkaConnection
from runtime.store_connections import ClickHouseConnection
from schemas.codec import decode, encode
from schemas.records import PaymentEvent
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.batch_writer import LedgerWriter
from sinks.audit.chain.checkpoint_writer import CheckpointWriter
from sinks.audit.chain.keys import public_keys, signer
from sinks.audit.chain.log import ChainLogReader
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.inserts import (
    BuildInserts,
    TableInsert,
    payments_by_column,
    positions_of,
    row_by_row,
)
from sinks.audit.migrations import migrate
from sinks.audit.settings import AuditSettings, DatabaseNames
from sinks.audit.store import LedgerStore, connect
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS

PAYMENTS = 106_666
"""Of three events each: two full cycles of the sink."""
ROW_BY_ROW_RECORDS = 12_000
TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.05
PROFILED_MAX = 8


class Consumed(NamedTuple):
    """A record as the engine hands it to the sink."""

    value: bytes
    raw: bytes
    partition: int
    offset: int


class PollBatch(NamedTuple):
    """What the sink's agent gets at once."""

    topic: str
    records: Sequence[Consumed]


class Run(NamedTuple):
    """One pass over all records."""

    rows: float
    entries: float
    rows_per_cpu_second: float
    rows_per_cpu_second_of_both: float


def events_of(number: int) -> list[bytes]:
    """payments.events of the number-th PAYMENTS payments."""
    numbers = range(number * PAYMENTS, (number + 1) * PAYMENTS)
    return [encode(event) for n in numbers for _, event in payment_history(create_command(n))]


def cpu_seconds_of(pid: int) -> float:
    """CPU time of a process so far, merges in the background included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(options: Options) -> list[Figure]:
    """The sink's own way, with and without the chain; beside it the way record by record."""
    with ledger() as (store, url, directory, pid):
        piece = AuditSettings().insert_records_max
        plain = Bench(LedgerWriter(store, piece), pid)
        sealed = Bench(LedgerWriter(store, piece, new_checkpoint_writer(url, directory)), pid)
        sealed.run(0)  # connects, warms up
        plain.run(1)
        chained, unsealed = _in_turn(sealed, plain, options.runs)
        merged = _merges_end(url)
        narrow = Bench(LedgerWriter(store, piece), pid, entries_alone)
        alone = [narrow.run(2 * options.runs + 2 + n).entries for n in range(options.runs)]
    return [
        *_figures("", chained),
        *_figures(", no chain", unsealed),
        Figure("ledger", "entries, all passes as one", "rows/s", [_together(chained)]),
        *merged,
        Figure("ledger", "entries alone, no rows of events, no chain", "rows/s", alone),
        *_prepared(events_of(0), options.runs),
    ]


class Bench:
    """Passes over new records, as they follow in a topic."""

    def __init__(
        self, ingest: LedgerWriter, engine_pid: int, prepare: BuildInserts = payments_by_column
    ) -> None:
        self._ingest = ingest
        self._engine_pid = engine_pid
        self._prepare = prepare

    def run(self, number: int) -> Run:
        """The pass's records, in cycles as large as the sink's."""
        events, size = events_of(number), AuditSettings().cycle_records_max
        first = number * len(events)
        records = [Consumed(data, data, 0, first + at) for at, data in enumerate(events)]
        cycles = [
            PollBatch(PAYMENTS_EVENTS, records[at : at + size])
            for at in range(0, len(records), size)
        ]
        entries = sum(
            insert.row_count
            for insert in _prepared_once(payments_by_column, records)
            if insert.table is LEDGER_ENTRIES
        )
        began, cpu = time.perf_counter(), time.process_time()
        engine_cpu = cpu_seconds_of(self._engine_pid)
        for cycle in cycles:
            asyncio.run(self._write(cycle))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        both = cpu_seconds + cpu_seconds_of(self._engine_pid) - engine_cpu
        rows = entries + len(records)
        return Run(rows / seconds, entries / seconds, rows / cpu_seconds, rows / both)

    async def _write(self, cycle: PollBatch) -> None:
        await self._ingest.write(cycle, self._prepare)


def _in_turn(one: Bench, other: Bench, runs: int) -> tuple[list[Run], list[Run]]:
    """Passes of both; of each two the first tends to be the slower, so who goes first changes."""
    found: tuple[list[Run], list[Run]] = ([], [])
    for number in range(runs):
        first = number % 2
        for place, side in enumerate((first, 1 - first)):
            found[side].append((one, other)[side].run(2 + 2 * number + place))
    return found


def entries_alone(records: Sequence[Any], positions: KafkaPositions) -> list[TableInsert]:
    """What a sink without `payment_events` would write; its columns are mapped all the same."""
    inserts = payments_by_column(records, positions)
    return [insert for insert in inserts if insert.table is LEDGER_ENTRIES]


def start_clickhouse(directory: Path, port: int) -> Child:
    """A process on the directory's data, migrated."""
    child = Child(clickhouse.launch(directory / "data", port, directory))
    try:
        child.wait_ready()
        with connect(ClickHouseConnection(clickhouse.url(port)), TIMEOUT_SECONDS) as client:
            migrate(client)
    except BaseException:
        child.kill_group()
        raise
    return child


@contextmanager
def ledger() -> Iterator[tuple[LedgerStore, str, Path, int]]:
    """A migrated database in a process of its own, whose id comes last."""
    with tempfile.TemporaryDirectory(prefix="paystream-bench-") as name:
        directory, port = Path(name), free_port()
        child = start_clickhouse(directory, port)
        url = clickhouse.url(port)
        try:
            yield (
                LedgerStore(ClickHouseConnection(url), DatabaseNames(), TIMEOUT_SECONDS),
                url,
                directory,
                child.pid,
            )
        finally:
            child.kill_group()


def new_checkpoint_writer(url: str, directory: Path) -> CheckpointWriter:
    """It begins where its records begin, so it asks no log."""
    store, keys = (
        LedgerStore(ClickHouseConnection(url), DatabaseNames(), TIMEOUT_SECONDS),
        directory / "keys",
    )
    log_reader = ChainLogReader(KafkaConnection("127.0.0.1:1"), lambda *_: True)
    return CheckpointWriter(store, log_reader, signer(keys), public_keys(keys), lambda: 0)


def _together(runs: Sequence[Run]) -> float:
    """The rate of these passes one after the other; large merges fall into a few of them."""
    return statistics.harmonic_mean([run.entries for run in runs])


def _figures(what: str, runs: Sequence[Run]) -> list[Figure]:
    return [
        Figure("ledger", f"{name}{what}", unit, [getattr(run, field) for run in runs])
        for name, unit, field in (
            ("rows", "rows/s", "rows"),
            ("entries among them", "rows/s", "entries"),
            ("rows per core", "rows per CPU-second of the sink", "rows_per_cpu_second"),
            ("rows per core, both", "rows per CPU-second", "rows_per_cpu_second_of_both"),
        )
    ]


def _merges_end(url: str) -> list[Figure]:
    """How often a row was written again by merges until now, and how long they still take."""
    began = time.perf_counter()
    with connect(ClickHouseConnection(url), TIMEOUT_SECONDS) as client:
        found = client.query("SELECT event, value FROM system.events").result_rows
        counts = {str(event): int(value) for event, value in found}
        while client.query("SELECT count() FROM system.merges").result_rows[0][0]:
            time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - began
    again = counts.get("MergedRows", 0) / counts["InsertedRows"]
    return [
        Figure("ledger", "rows merged per row inserted, all passes", "", [again]),
        Figure("ledger", "merges still running after the last pass", "s", [seconds]),
    ]


def _prepared(events: Sequence[bytes], runs: int) -> list[Figure]:
    """Decoding and mapping alone, in one thread, both ways; and where the time goes."""
    raw = [Consumed(data, data, 0, at) for at, data in enumerate(events)]
    by_column = [_rate(payments_by_column, raw) for _ in range(runs)]
    some = raw[:ROW_BY_ROW_RECORDS]
    by_row = [_rate(_decoding, some) for _ in range(runs)]
    _print_profile(raw)
    return [
        Figure("ledger", "decode and map by column", "rows/s", by_column),
        Figure("ledger", "decode and map record by record", "rows/s", by_row),
    ]


def _prepared_once(prepare: BuildInserts, records: Sequence[Any]) -> list[TableInsert]:
    return prepare(records, positions_of(PAYMENTS_EVENTS, records, at_ms=0))


def _decoding(records: Sequence[Any], positions: KafkaPositions) -> list[TableInsert]:
    decoded = [_Decoded(decode(PaymentEvent, r.value), *r[1:]) for r in records]
    return row_by_row((PAYMENT_EVENTS, LEDGER_ENTRIES))(decoded, positions)


class _Decoded(NamedTuple):
    value: PaymentEvent
    raw: bytes
    partition: int
    offset: int


def _rate(prepare: BuildInserts, records: Sequence[Consumed]) -> float:
    began = time.perf_counter()
    inserts = _prepared_once(prepare, records)
    return sum(insert.row_count for insert in inserts) / (time.perf_counter() - began)


def _print_profile(records: Sequence[Consumed]) -> None:
    profile = cProfile.Profile()
    profile.runcall(_prepared_once, payments_by_column, records)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined] # not in the stubs
    whole = sum(entry[2] for entry in stats.values())
    print("\ndecode and map by column, share of time in the function itself:")
    for (_, _, name), entry in sorted(stats.items(), key=lambda each: -each[1][2])[:PROFILED_MAX]:
        print(f"  {entry[2] / whole:5.1%}  {name}")
