"""Rows per second into the ledger: events mapped to entries, entries inserted into ClickHouse."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure
from bench.options import Options
from bench.pure import create_command, life_of
from devstack.services import clickhouse
from devstack.services.child import Child
from devstack.services.ports import free_port
from schemas.codec import decode, encode
from schemas.records import PaymentEvent
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, Sourced, connect, rows_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS, Origin

PAYMENTS = 10_000
BATCH_EVENTS = 4000
TIMEOUT_SECONDS = 60


def measure(options: Options) -> list[Figure]:
    """From Avro bytes to acknowledged rows, in batches as the audit sink makes them."""
    lives = [life_of(create_command(number)) for number in range(PAYMENTS)]
    events = [encode(event) for life in lives for _, event in life]
    mapped, inserted, whole = [], [], []
    with ledger_store() as store:
        run_batches(store, events[:BATCH_EVENTS])  # connects, warms up
        for _ in range(options.runs):
            rows, mapping_seconds, insert_seconds = run_batches(store, events)
            mapped.append(rows / mapping_seconds)
            inserted.append(rows / insert_seconds)
            whole.append(len(events) / (mapping_seconds + insert_seconds))
    return [
        Figure("ledger", "decode and map", "rows/s", mapped),
        Figure("ledger", "insert", "rows/s", inserted),
        Figure("ledger", "both, one thread", "events/s", whole),
    ]


@contextmanager
def ledger_store() -> Iterator[LedgerStore]:
    """A migrated database in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="paystream-bench-") as directory:
        port = free_port()
        child = Child(clickhouse.launch(Path(directory) / "data", port, Path(directory)))
        try:
            child.wait_ready()
            with connect(clickhouse.url(port), TIMEOUT_SECONDS) as client:
                migrate(client)
            yield LedgerStore(clickhouse.url(port), DatabaseNames(), TIMEOUT_SECONDS)
        finally:
            child.kill_group()


def run_batches(store: LedgerStore, events: list[bytes]) -> tuple[int, float, float]:
    """(rows, seconds of mapping, seconds of inserts) over both tables."""
    count, mapping, inserts = 0, 0.0, 0.0
    for first in range(0, len(events), BATCH_EVENTS):
        began = time.perf_counter()
        records = [
            Sourced(decode(PaymentEvent, data), Origin("payments.events", 0, first + place, 0))
            for place, data in enumerate(events[first : first + BATCH_EVENTS])
        ]
        prepared = [(table, rows_of(table, records)) for table in (PAYMENT_EVENTS, LEDGER_ENTRIES)]
        ready = time.perf_counter()
        for table, rows in prepared:
            store.insert(table, rows)
            count += len(rows)
        mapping += ready - began
        inserts += time.perf_counter() - ready
    return count, mapping, inserts
