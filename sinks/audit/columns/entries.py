"""Ledger entries of many payment events at once, by the linear forms of the rules.

The rows equal those that `sinks.audit.ledger` makes of the events one by one, as a property test
checks. Only their order differs: entries of one event type are adjacent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.enums import EventType, Source
from schemas.money import EXPONENTS
from sinks.audit.columns.avro import ColumnsRefused, Numbers
from sinks.audit.columns.kafka_positions import KafkaPositions
from sinks.audit.columns.native import Column, LowCardinality
from sinks.audit.columns.text import Longs, Text, codes_of, copy_text
from sinks.audit.ledger import PAYMENT_RULES, Account, EntryState
from sinks.audit.ledger.vectorized_rules import AMOUNTS, VectorizedEntry, vectorized_rules

_RULES = vectorized_rules()
_TYPES = tuple(str(event_type) for event_type in PAYMENT_RULES)
_ACCOUNTS, _STATES = tuple(map(str, Account)), tuple(map(str, EntryState))
_AMOUNT_MAX = 1 << 58  # so that no sum of a few amounts leaves 64 bits
_CURRENCY_CODES = tuple(EXPONENTS)
_DECIMALS = np.array([*EXPONENTS.values(), 0], np.int64)  # the last one: no currency


class _Legs(NamedTuple):
    """Entries of the events of one type: `event` is the row of the event."""

    event: npt.NDArray[np.intp]
    number: Longs
    account: npt.NDArray[np.uint8]
    state: npt.NDArray[np.uint8]
    amount_minor: Longs


def decimals_of(currency: Text) -> Numbers:
    """Decimals of each row's currency; 0 for what is none."""
    return Numbers(_DECIMALS[codes_of(currency, _CURRENCY_CODES)])


def entry_columns(
    events: Mapping[str, Column], decimals: Numbers, positions: KafkaPositions
) -> tuple[dict[str, Column], int]:
    """Columns of ledger_entries by name, and the number of rows.

    Raises ColumnsRefused for amounts beyond 58 bits and for types whose rule is not linear.
    """
    types = codes_of(_text(events, "type"), _TYPES)
    amounts = np.stack([_amounts(events, name) for name in AMOUNTS], axis=1)
    amounts[_posted_by_lines(events, types), AMOUNTS.index("amount_minor")] = 0
    legs = _all_legs(types, amounts)
    event = legs.event
    event_id = _text(events, "event_id").select(event)
    count = event.size
    return {
        "entry_id": _entry_ids(event_id, legs.number),
        "transaction_id": event_id,
        "leg": Numbers(legs.number),
        "transaction_type": LowCardinality(types[event].astype(np.uint8), _TYPES),
        "account": LowCardinality(legs.account, _ACCOUNTS),
        "state": LowCardinality(legs.state, _STATES),
        "payout_id": one_text(b"", count),
        **{name: _text(events, name).select(event) for name in _COPIED},
        "amount_minor": Numbers(legs.amount_minor),
        "occurred_at": Numbers(_numbers(events, "occurred_at_ms")[event]),
        "currency_exponent": Numbers(decimals.values[event]),
        **positions.select(event).columns(),
    }, count


_COPIED = ("merchant_id", "payment_id", "mode", "currency")


def _posted_by_lines(events: Mapping[str, Column], types: Longs) -> npt.NDArray[np.intp]:
    """Rows of settlements by reconciliation, which posts each line by itself: see the mapping."""
    settled = np.flatnonzero(types == _TYPES.index(EventType.SETTLED))
    sources = codes_of(_text(events, "source").select(settled), (str(Source.RECONCILIATION),))
    posted: npt.NDArray[np.intp] = settled[sources == 0]
    return posted


def one_text(value: bytes, count: int) -> Text:
    """The same text in every row."""
    buffer = np.frombuffer(value, np.uint8)
    return Text(buffer, np.zeros(count, np.int64), np.full(count, len(value), np.int64))


def _all_legs(types: Longs, amounts: npt.NDArray[np.int64]) -> _Legs:
    if amounts.size and max(int(amounts.max()), -int(amounts.min())) > _AMOUNT_MAX:
        raise ColumnsRefused("an amount has more than 58 bits")
    found = []
    for code, event_type in enumerate(_TYPES):
        events = np.flatnonzero(types == code)
        if not events.size:
            continue
        rule = _RULES.get(event_type)
        if rule is None:
            raise ColumnsRefused(f"the rule of {event_type} is not linear")
        found.append(_legs_of(rule, events, amounts[events]))
    if not found:
        return _legs_of((), np.zeros(0, np.intp), amounts[:0])
    return _Legs(*map(np.concatenate, zip(*found, strict=True)))


def _legs_of(
    rule: tuple[VectorizedEntry, ...], events: npt.NDArray[np.intp], amounts: npt.NDArray[np.int64]
) -> _Legs:
    """A leg of zero is no entry, and the others are numbered without it."""
    factors = np.array([leg.factors for leg in rule], np.int64).reshape(len(rule), len(AMOUNTS))
    moved = amounts @ factors.T
    made = moved != 0
    shape = made.shape
    account = np.array([_ACCOUNTS.index(leg.account) for leg in rule], np.uint8)
    state = np.array([_STATES.index(leg.state) for leg in rule], np.uint8)
    return _Legs(
        np.broadcast_to(events[:, None], shape)[made],
        np.cumsum(made, axis=1, dtype=np.int64)[made],
        np.broadcast_to(account, shape)[made],
        np.broadcast_to(state, shape)[made],
        moved[made],
    )


def _entry_ids(event_id: Text, number: Longs) -> Text:
    """`event_id#leg`; legs have one digit (a rule has no more than nine)."""
    length = event_id.length + 2
    after = np.cumsum(length)
    written = np.empty(int(after[-1]) if after.size else 0, np.uint8)
    copy_text(event_id, written, after - length)
    written[after - 2] = ord("#")
    written[after - 1] = ord("0") + number
    return Text(written, after - length, length)


def _text(events: Mapping[str, Column], name: str) -> Text:
    column = events[name]
    assert isinstance(column, Text), name
    return column


def _numbers(events: Mapping[str, Column], name: str) -> Longs:
    column = events[name]
    assert isinstance(column, Numbers), name
    return column.values


def _amounts(events: Mapping[str, Column], name: str) -> Longs:
    return _numbers(events, name)
