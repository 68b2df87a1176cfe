"""Blocks of payment_events and ledger_entries from the bytes of payments.events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from schemas.codec import schema_prefix
from schemas.records import PaymentEvent
from schemas.registry import latest
from sinks.audit.columns import native
from sinks.audit.columns.avro import ColumnsRefused, Reader
from sinks.audit.columns.entries import decimals_of, entry_columns
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.columns.text import Text, text_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS

COLUMN_BATCH_RECORDS = 4000
"""Records decoded together: their bytes (1.6 MB) stay in a core's cache."""

_CONTRACT = latest()[PaymentEvent.__name__]
_FIELDS = frozenset(field["name"] for field in _CONTRACT.document["fields"])
_RENAMED = {"occurred_at": "occurred_at_ms", "due_at": "due_at_ms"}
_PREFIX = schema_prefix(PaymentEvent)
_NOT_FIELDS = {"currency_exponent", "record", "kafka_topic", "kafka_partition", "kafka_offset"}
_FIELD_OF = {
    name: _RENAMED.get(name, name)
    for name, _ in PAYMENT_EVENTS.columns
    if name not in {*_NOT_FIELDS, "ingested_at"}
}
_READER = Reader(_CONTRACT.document, frozenset(_FIELD_OF.values()))


class Block(NamedTuple):
    """Native bytes of some rows; blocks are concatenated to an insert's body."""

    data: bytes
    rows: int


def payment_blocks(values: Sequence[bytes], positions: KafkaPositions) -> tuple[Block, Block]:
    """(block of payment_events, block of ledger_entries) of up to COLUMN_BATCH_RECORDS records.

    Raises ColumnsRefused if any of them is not a PaymentEvent of the newest version, or has values
    that only the mapping one by one can handle.
    """
    if not all(value[:5] == _PREFIX for value in values):
        raise ColumnsRefused("a record of another version of the contract")
    fields = _READER.read(values)
    currency = fields["currency"]
    assert isinstance(currency, Text)
    decimals = decimals_of(currency)
    columns: dict[str, native.Column] = {name: fields[of] for name, of in _FIELD_OF.items()}
    columns |= {"currency_exponent": decimals, "record": native.Binary(text_of(values))}
    columns |= positions.columns()
    entries, entry_rows = entry_columns(fields, decimals, positions)
    return (
        Block(native.block(PAYMENT_EVENTS.columns, columns, len(values)), len(values)),
        Block(native.block(LEDGER_ENTRIES.columns, entries, entry_rows), entry_rows),
    )
