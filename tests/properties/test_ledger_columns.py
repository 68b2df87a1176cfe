"""The way by columns is the typed mapping, row for row; what it refuses, it refuses as a whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.native_rows import NativeRows

from schemas.codec import UndecodableRecord, decode, encode
from schemas.enums import EventType
from schemas.money import AMOUNT_MINOR_MAX, CURRENCIES
from schemas.records import PaymentEvent
from sinks.audit.columns.avro import ColumnsRefused
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.columns.payments import payment_blocks
from sinks.audit.inserts import TableInsert, payments_by_column
from sinks.audit.ledger import PAYMENT_RULES, transaction_for
from sinks.audit.ledger.vectorized_rules import AMOUNTS, vectorized_rules
from sinks.audit.raw_table import KafkaPosition, Table
from sinks.audit.store import DecodedRecord, rows_of
from sinks.audit.tables import LEDGER_ENTRIES, PAYMENT_EVENTS

TOPIC, AT_MS = "payments.events", 1_795_000_000_000
LONG = st.integers(-(2**54), 2**54)
AMOUNT = st.integers(-1, 2) | st.integers(0, AMOUNT_MINOR_MAX)
TEXT = st.text(max_size=12) | st.sampled_from(["", "é" * 90, "x" * 127, "x" * 128])
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from([*map(str, EventType), "payment.unheard_of"]),
    "currency": st.sampled_from([*sorted(CURRENCIES), "", "XXX", "EURO", "€"]),
    "source": st.sampled_from(["reconciliation", "network", ""]),
    "sequence": st.integers(0, 2**54),
    "attempt": st.none() | st.integers(-(2**31), 2**31 - 1),
    **dict.fromkeys(AMOUNTS, AMOUNT),
}
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: LONG,
    str | None: st.none() | TEXT,
    int | None: st.none() | LONG,
    bool | None: st.none() | st.booleans(),
}
EVENTS = st.builds(
    PaymentEvent,
    **{
        field.name: STRATEGIES.get(field.name, BY_TYPE[field.type])
        for field in msgspec.structs.fields(PaymentEvent)
    },
)


def by_row(table: Table, values: list[bytes]) -> list[dict[str, Any]]:
    """Rows of the typed mapping, as ClickHouse takes them: text as bytes."""
    records = [
        DecodedRecord(decode(PaymentEvent, value), KafkaPosition(TOPIC, 3, offset, AT_MS, value))
        for offset, value in enumerate(values)
    ]
    names = [name for name, _ in table.columns]
    return [
        dict(zip(names, (v.encode() if isinstance(v, str) else v for v in row), strict=True))
        for row in rows_of(table, records)
    ]


def positions(first: int, count: int) -> KafkaPositions:
    offsets = np.arange(first, first + count, dtype=np.int64)
    return KafkaPositions(TOPIC, np.full(count, 3, np.int64), offsets, AT_MS)


def by_column(values: list[bytes]) -> list[list[dict[str, Any]]]:
    blocks = payment_blocks(values, positions(0, len(values)))
    return [NativeRows(block.data).rows() for block in blocks]


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["kafka_offset"], row.get("leg", 0)))


@settings(max_examples=50)
@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_columns_are_the_typed_mappings_rows(events: list[PaymentEvent]) -> None:
    values = [encode(event) for event in events]
    found = by_column(values)
    for rows, table in zip(found, (PAYMENT_EVENTS, LEDGER_ENTRIES), strict=True):
        assert in_order(rows) == in_order(by_row(table, values))


def test_every_payment_rule_is_linear_and_balances_whatever_the_amounts() -> None:
    """If a rule stops to be linear, its batches go record by record: slower, and still right."""
    rules = vectorized_rules()
    assert set(rules) == set(map(str, PAYMENT_RULES))
    for legs in rules.values():
        for state in {leg.state for leg in legs}:
            factors = [leg.factors for leg in legs if leg.state == state]
            assert [sum(column) for column in zip(*factors, strict=True)] == [0] * len(AMOUNTS)


@given(EVENTS)
def test_linear_forms_are_the_rules(event: PaymentEvent) -> None:
    legs = vectorized_rules().get(event.type, ())
    by_lines = (event.type, event.source) == ("payment.settled", "reconciliation")
    moved = msgspec.structs.replace(event, amount_minor=0) if by_lines else event
    amounts = tuple(getattr(moved, name) for name in AMOUNTS)
    expected = [
        (leg.account, leg.state, leg.amount_minor(amounts))
        for leg in legs
        if leg.amount_minor(amounts)
    ]
    transaction = transaction_for(event)
    entries = () if transaction is None else transaction.entries
    assert [(e.account, e.state, e.amount_minor) for e in entries] == expected


@settings(max_examples=40)
@given(st.lists(EVENTS, min_size=1, max_size=3), st.data())
def test_bytes_that_are_no_event_are_never_taken_for_one(
    events: list[PaymentEvent], data: st.DataObject
) -> None:
    """Cut, lengthened or with a byte changed: refused, or read as the reader of records reads."""
    values = [encode(event) for event in events]
    broken = data.draw(st.integers(0, len(values) - 1))
    value = bytearray(values[broken])
    at = data.draw(st.integers(0, len(value) - 1))
    change = data.draw(st.sampled_from(["cut", "longer", "byte"]))
    if change == "cut":
        del value[at:]
    elif change == "longer":
        value += b"\x00"
    else:
        value[at] ^= data.draw(st.integers(1, 255))
    values[broken] = bytes(value)
    try:
        found = by_column(values)
    except ColumnsRefused:
        return
    for rows, table in zip(found, (PAYMENT_EVENTS, LEDGER_ENTRIES), strict=True):
        assert in_order(rows) == in_order(by_row(table, values))


def prepared(values: list[bytes]) -> list[TableInsert]:
    records: list[Any] = [
        SimpleNamespace(value=value, raw=value, partition=3, offset=offset)
        for offset, value in enumerate(values)
    ]
    return payments_by_column(records, positions(0, len(values)))


ORDINARY = encode(
    PaymentEvent(
        **{
            field.name: "payment.voided" if field.name == "type" else "text"
            for field in msgspec.structs.fields(PaymentEvent)
            if field.type is str
        },
        **{f.name: 7 for f in msgspec.structs.fields(PaymentEvent) if f.type is int},
    )
)


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount_minor", 2**59), ("occurred_at_ms", -(2**63)), ("reference", "y" * 17_000)],
)
def test_what_the_columns_refuse_goes_record_by_record(field: str, value: Any) -> None:
    event = msgspec.structs.replace(decode(PaymentEvent, ORDINARY), **{field: value})
    unusual = encode(event)
    with pytest.raises(ColumnsRefused):
        by_column([unusual])
    inserts = prepared([ORDINARY, unusual])
    assert [(insert.table.name, len(insert.rows)) for insert in inserts] == [
        ("payment_events", 2),
        ("ledger_entries", 4),
    ]


def test_an_unusual_chunk_does_not_slow_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.audit.inserts.COLUMN_BATCH_RECORDS", 2)
    event = msgspec.structs.replace(decode(PaymentEvent, ORDINARY), amount_minor=2**59)
    values = [ORDINARY, ORDINARY, encode(event), ORDINARY, ORDINARY]
    inserts = prepared(values)
    first, last = (payment_blocks([ORDINARY] * n, positions(at, n)) for at, n in ((0, 2), (4, 1)))
    events, entries = (a.data + b.data for a, b in zip(first, last, strict=True))
    assert [(i.table.name, len(i.rows), i.blocks, i.row_count) for i in inserts] == [
        ("payment_events", 2, b"", 2),
        ("ledger_entries", 4, b"", 4),
        ("payment_events", 0, events, 3),
        ("ledger_entries", 0, entries, 6),
    ]


def test_a_record_that_is_none_is_undecodable() -> None:
    with pytest.raises(UndecodableRecord):
        prepared([ORDINARY, b"\x00not avro"])
