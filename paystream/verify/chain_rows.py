"""Rows of one partition beside its checkpoints: every difference by the name of its row."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from engine import TopicPartition
from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.codec import UndecodableRecord, decode
from schemas.money import EXPONENTS
from schemas.records import PaymentEvent, PayoutEvent, ReconciliationEvent
from schemas.topics import PAYMENTS_EVENTS, PAYOUTS_EVENTS, RECONCILIATION_EVENTS
from sinks.audit.chain.chain import LEAF_BYTES, SEGMENT_OFFSETS, Leaves, Offsets
from sinks.audit.ledger import ENTRY_COLUMNS_SQL, EntryRow, expected_entries
from sinks.audit.raw_table import KafkaPosition, Table
from sinks.audit.tables import PAYMENT_EVENTS, PAYOUT_EVENTS, RECONCILED

Event = type[PaymentEvent] | type[PayoutEvent] | type[ReconciliationEvent]

TABLES: dict[str, tuple[Table, Event]] = {
    PAYMENTS_EVENTS: (PAYMENT_EVENTS, PaymentEvent),
    PAYOUTS_EVENTS: (PAYOUT_EVENTS, PayoutEvent),
    RECONCILIATION_EVENTS: (RECONCILED, ReconciliationEvent),
}
_EXPONENTS = {"currency_exponent", "own_exponent"}
_APART = {*_EXPONENTS, "ingested_at", "kafka_topic", "kafka_partition", "kafka_offset"}
_OF_PLACE = "WHERE kafka_topic = '{topic}' AND kafka_partition = {partition}"
ENTRIES = f"""
SELECT {ENTRY_COLUMNS_SQL}, kafka_offset, toString(amount_decimal) AS amount_decimal
FROM {{views}}.ledger_entries {_OF_PLACE} ORDER BY kafka_offset, leg
"""  # noqa: S608 - our topics and numbers

Row = Mapping[str, Any]


class Coverage(NamedTuple):
    """What the good checkpoints of a partition say: ranges of offsets, and all that is in them."""

    offsets: Offsets
    leaves: Leaves
    covered: list[tuple[int, int]]
    due_before: int
    """A row from here on means that a checkpoint is missing: its segment must have one by now."""


class _Walk:
    """One pass over the rows of a partition, in the order of their offsets."""

    def __init__(self, source: TopicPartition, coverage: Coverage, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._table, self._record = TABLES[source.topic]
        self._leaf_of = dict(
            zip(coverage.offsets.tolist(), map(bytes, coverage.leaves), strict=True)
        )
        self._covered = coverage.covered
        self._due_before = coverage.due_before
        self.unsigned: list[int] = []

    def event(self, row: Row) -> list[EntryRow] | None:
        """The entries that the row's record makes; None if nobody can say."""
        offset = row["kafka_offset"]
        name = f"{self._table.name} {row['event_id']} ({self._where(offset)})"
        record = base64.b64decode(row["record"])
        leaf = self._leaf_of.pop(offset, None)
        if leaf is not None:
            same = hashlib.sha256(record).digest()[:LEAF_BYTES] == leaf
            self._findings.expect(same, name, "its record differs from its checkpoint: edited")
            if not same:
                return None
        elif any(first <= offset < end for first, end in self._covered):
            self._findings.expect(False, name, "is not covered by a checkpoint: inserted")
        else:
            self.unsigned.append(offset)
        return self._by_record(name, row, record)

    def missing(self) -> None:
        """Covered records without a row."""
        for offset in sorted(self._leaf_of):
            name = f"{self._table.name} at {self._where(offset)}"
            self._findings.expect(False, name, "is covered and is not there: deleted")
        overdue = [offset for offset in self.unsigned if offset >= self._due_before]
        if overdue:
            segment = self._due_before // SEGMENT_OFFSETS - 1
            where = f"{self._source.topic}/{self._source.partition}"
            problem = f"the checkpoint of segment {segment} is missing ({len(overdue)} rows after)"
            self._findings.violation(where, problem)

    def entries(self, expected: list[EntryRow] | None, offset: int, found: list[Row]) -> None:
        """Entries of one offset against what the record says."""
        if expected is None:
            return
        wanted = {row.entry_id: row for row in expected}
        for row in found:
            name = f"ledger_entries {row['entry_id']} ({self._where(offset)})"
            want = wanted.pop(row["entry_id"], None)
            if want is None:
                self._findings.expect(False, name, "no covered record says so: inserted")
                continue
            differs = _differences(row, want._asdict()) or _wrong_decimal(row)
            self._findings.expect(not differs, name, f"edited: {differs}")
        for entry_id in wanted:
            name = f"ledger_entries {entry_id} ({self._where(offset)})"
            self._findings.expect(False, name, "its record says so and it is not there: deleted")

    def _by_record(self, name: str, row: Row, record: bytes) -> list[EntryRow] | None:
        try:
            event: Any = decode(self._record, record)
        except UndecodableRecord as error:
            self._findings.expect(False, name, f"its record cannot be read: {error}")
            return None
        origin = KafkaPosition(*self._source, row["kafka_offset"], 0, record)
        [values] = self._table.rows(event, origin)
        names = [column for column, _ in self._table.columns]
        wanted = {n: v for n, v in zip(names, values, strict=True) if n not in _APART}
        wanted["record"] = row["record"]
        differs = _differences(row, wanted) or _wrong_decimal(row)
        self._findings.expect(not differs, name, f"edited: {differs}")
        return list(expected_entries([event]))

    def _where(self, offset: int) -> str:
        return f"{self._source.topic}/{self._source.partition}@{offset}"


def check_rows(
    dataset: Dataset, source: TopicPartition, coverage: Coverage, findings: Findings
) -> None:
    """Every row of the partition's events and of their entries."""
    walk = _Walk(source, coverage, findings)
    entries = _grouped(dataset.ledger(_at(ENTRIES, source)))
    waiting = next(entries, None)
    for row in dataset.ledger(_at(_events(TABLES[source.topic][0]), source)):
        offset, found = row["kafka_offset"], list[Row]()
        while waiting is not None and waiting[0] <= offset:
            if waiting[0] < offset:
                walk.entries([], *waiting)
            else:
                found = waiting[1]
            waiting = next(entries, None)
        walk.entries(walk.event(row), offset, found)
    while waiting is not None:
        walk.entries([], *waiting)
        waiting = next(entries, None)
    walk.missing()
    if walk.unsigned:
        where = f"{source.topic}/{source.partition}"
        findings.note(
            f"{where}: {len(walk.unsigned)} rows from offset {walk.unsigned[0]} on are not signed"
        )


def _grouped(rows: Iterator[Row]) -> Iterator[tuple[int, list[Row]]]:
    for offset, group in groupby(rows, lambda row: int(row["kafka_offset"])):
        yield offset, list(group)


def _at(sql: str, source: TopicPartition) -> str:
    return sql.replace("{topic}", source.topic).replace("{partition}", str(source.partition))


def _events(table: Table) -> str:
    columns = [
        f"toUnixTimestamp64Milli({name}) AS {name}" if "DateTime64" in kind else name
        for name, kind in table.columns
        if name not in _APART
    ]
    columns.append("kafka_offset")
    if any(name == "amount_minor" for name, _ in table.columns):
        columns.append("toString(amount_decimal) AS amount_decimal")
    listed = ", ".join(columns)
    return f"SELECT {listed} FROM {{views}}.{table.name} {_OF_PLACE} ORDER BY kafka_offset"  # noqa: S608 - our names


def _differences(row: Row, wanted: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name} is {row[name]!r}, its record says {value!r}"
        for name, value in wanted.items()
        if row[name] != value
    )


def _wrong_decimal(row: Row) -> str:
    """The view makes it from a column of the table that is not shown: the currency's decimals."""
    if "amount_decimal" not in row:
        return ""
    wanted = Decimal(row["amount_minor"]).scaleb(-EXPONENTS.get(row["currency"], 0))
    if Decimal(row["amount_decimal"]) == wanted:
        return ""
    return f"amount_decimal is {row['amount_decimal']}, {wanted} by amount_minor"
