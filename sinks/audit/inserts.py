"""The inserts of a batch: rows, or blocks that are encoded already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from runtime import log
from schemas.codec import decoder
from schemas.records import PaymentEvent
from sinks.audit.columns.avro import ColumnsRefused
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.columns.payments import COLUMN_BATCH_RECORDS, Block, payment_blocks
from sinks.audit.raw_table import KafkaPosition, Row, Table
from sinks.audit.store import DecodedRecord, rows_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS

_LOG = log.get(__name__)


class SourceRecord(Protocol):
    """The part of a consumed record that is needed here."""

    @property
    def value(self) -> Any: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def raw(self) -> bytes: ...


class TableInsert(NamedTuple):
    """One insert into a table: rows, or concatenated Native blocks."""

    table: Table
    row_count: int
    rows: Sequence[Row] = ()
    blocks: bytes = b""


BuildInserts = Callable[[Sequence[SourceRecord], KafkaPositions], list[TableInsert]]
"""(records, position of each) -> the inserts."""


def positions_of(topic: str, records: Sequence[SourceRecord], at_ms: int) -> KafkaPositions:
    """Kafka positions of the records; their rows are inserted at epoch milliseconds `at_ms`."""
    count = len(records)
    partition = np.fromiter((record.partition for record in records), np.int64, count)
    offset = np.fromiter((record.offset for record in records), np.int64, count)
    return KafkaPositions(topic, partition, offset, at_ms)


def row_by_row(tables: Sequence[Table]) -> BuildInserts:
    """For records that the engine decoded. Building inserts raises UnbalancedTransaction."""

    def build_inserts(
        records: Sequence[SourceRecord], positions: KafkaPositions
    ) -> list[TableInsert]:
        topic, at_ms = positions.topic, positions.ingested_at_ms
        found = [
            DecodedRecord(r.value, KafkaPosition(topic, r.partition, r.offset, at_ms, r.raw))
            for r in records
        ]
        return _inserts(tables, found)

    return build_inserts


def payments_by_column(
    records: Sequence[SourceRecord], positions: KafkaPositions
) -> list[TableInsert]:
    """For payment events as bytes (`value`): decoded and mapped as columns.

    A batch with anything unusual (an older version of the contract, text that is not UTF-8, an
    amount out of bounds) goes record by record through the typed mapping, which is the reference.
    Raises UndecodableRecord and UnbalancedTransaction as that does.
    """
    values = [record.value for record in records]
    blocks: list[tuple[Block, Block]] = []
    unusual: list[DecodedRecord] = []
    for first in range(0, len(values), COLUMN_BATCH_RECORDS):
        part = slice(first, first + COLUMN_BATCH_RECORDS)
        try:
            blocks.append(payment_blocks(values[part], positions.select(part)))
        except ColumnsRefused as reason:
            _LOG.info("ledger_records_mapped_one_by_one", topic=positions.topic, reason=str(reason))
            unusual += _decoded(records[part], positions)
    inserts = _inserts((PAYMENT_EVENTS, LEDGER_ENTRIES), unusual) if unusual else []
    for table, parts in zip((PAYMENT_EVENTS, LEDGER_ENTRIES), zip(*blocks, strict=True)):  # noqa: B905 - no blocks, no parts
        count = sum(part.rows for part in parts)
        joined = b"".join([part.data for part in parts if part.rows])
        inserts.append(TableInsert(table, count, blocks=joined))
    return inserts


def _decoded(records: Sequence[SourceRecord], positions: KafkaPositions) -> list[DecodedRecord]:
    decode, topic, at_ms = decoder(PaymentEvent), positions.topic, positions.ingested_at_ms
    return [
        DecodedRecord(decode(r.value), KafkaPosition(topic, r.partition, r.offset, at_ms, r.value))
        for r in records
    ]


def _inserts(tables: Sequence[Table], records: Sequence[DecodedRecord]) -> list[TableInsert]:
    rows = [rows_of(table, records) for table in tables]
    return [
        TableInsert(table, len(found), found) for table, found in zip(tables, rows, strict=True)
    ]
