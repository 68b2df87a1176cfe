"""Reads many Avro records of one schema at once, field by field.

The bytes are those that schemas/codec.py reads one by one; here each step is a vector operation on
all records, so that a batch costs some microseconds per field and not per record. Records that are
refused here are read with `schemas.codec.decode`, one by one.

Source: Avro specification 1.12, "Binary encoding" (zigzag variable-length integers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sinks.audit.columns.text import Bytes, Longs, Text, is_utf8

_PADDING = b"\x00" * 16  # so that eight bytes can be read at any place
_GO_ON = np.uint64(0x8080808080808080)
_SEVEN_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)
_JOINS = tuple(  # 7-bit groups to 14, to 28, to 56 bits: (low groups, high groups, shift)
    tuple(map(np.uint64, each))
    for each in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)
_PREFIX_BYTES = 5


class ColumnsRefused(ValueError):
    """A record of the batch does not fit this schema: decode the batch one by one."""


class Numbers(NamedTuple):
    """Integers of n rows; `present` None: all are there, else 0 stands where one is not."""

    values: Longs
    present: npt.NDArray[np.bool_] | None = None


Column = Text | Numbers


class Reader:
    """Reads records of one flat schema: strings, ints, longs, booleans, or nullable ones."""

    def __init__(self, schema: Mapping[str, Any], wanted: frozenset[str]) -> None:
        """Fields that are not wanted are stepped over. Raises ColumnsRefused for other types."""
        self._fields = [(f["name"], *_type_of(f["type"])) for f in schema["fields"]]
        self._wanted = wanted

    def read(self, values: Sequence[bytes]) -> dict[str, Column]:
        """Columns by field name. Raises ColumnsRefused if any value is not such a record.

        Each value begins with its 5 bytes of prefix, which the caller looked at. That wanted text
        is UTF-8 is checked when it is copied (`native.block`).
        """
        places = _Places(values)
        found = {}
        for name, kind, nullable in self._fields:
            present = places.branches() if nullable else None
            column = places.column(kind, present)
            if name in self._wanted:
                found[name] = column
            elif isinstance(column, Text) and not is_utf8(column):
                raise ColumnsRefused(f"{name} is not UTF-8")
        places.check_end()
        return found


def _type_of(avro: Any) -> tuple[str, bool]:
    """(primitive type, nullable)."""
    nullable = isinstance(avro, list)
    if nullable:
        if len(avro) != 2 or avro[0] != "null":
            raise ColumnsRefused(f"a union that is not null or one other: {avro}")
        avro = avro[1]
    kind = avro["type"] if isinstance(avro, dict) else avro
    if kind not in ("string", "int", "long", "boolean"):
        raise ColumnsRefused(f"no column for the Avro type {kind}")
    return kind, nullable


class _Places:
    """Where each record is read next."""

    def __init__(self, values: Sequence[bytes]) -> None:
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        self._end = np.cumsum(lengths)
        self._at = self._end - lengths + _PREFIX_BYTES
        self._buffer: Bytes = np.frombuffer(b"".join((*values, _PADDING)), np.uint8)
        self._size = self._buffer.size - len(_PADDING)
        self._words: npt.NDArray[np.uint64] = np.ndarray(
            (self._buffer.size - 7,), np.dtype("<u8"), self._buffer, strides=(1,)
        )
        self._check_inside()

    def branches(self) -> npt.NDArray[np.bool_]:
        """Which records have the second branch of a union, as null is the first."""
        branch = self._buffer[self._at]
        if branch.size and (branch.max() > 2 or (branch & 1).any()):
            raise ColumnsRefused("a union has a branch that the schema does not know")
        self._at = self._at + 1
        present: npt.NDArray[np.bool_] = branch == 2
        return present

    def column(self, kind: str, present: npt.NDArray[np.bool_] | None) -> Column:
        """The next field of all records; of the present ones if not all have it."""
        if present is None or present.all():
            column, self._at = self._read(kind, self._at)
            present = None
        else:
            rows = np.flatnonzero(present)
            some, after = self._read(kind, self._at[rows])
            self._at[rows] = after
            column = _spread(some, rows, present.size)
        self._check_inside()
        return column if isinstance(column, Text) else Numbers(column.values, present)

    def check_end(self) -> None:
        """Every record must have been read to its end and no further."""
        if not np.array_equal(self._at, self._end):
            raise ColumnsRefused("a record is shorter or longer than its schema says")

    def _read(self, kind: str, at: Longs) -> tuple[Column, Longs]:
        if kind == "boolean":
            return Numbers(self._buffer[at].astype(np.int64)), at + 1
        number, after = self._number(at)
        if kind != "string":
            return Numbers(number), after
        if number.size and (number.min() < 0 or number.max() > self._size):
            raise ColumnsRefused("a text has an impossible length")
        return Text(self._buffer, after, number), after + number

    def _number(self, at: Longs) -> tuple[Longs, Longs]:
        first = self._buffer[at]
        if not first.size or first.max() < 128:
            number = first.astype(np.int64)
            return (number >> 1) ^ -(number & 1), at + 1
        word = self._words[at]
        stop = ~word & _GO_ON
        if not stop.all():
            raise ColumnsRefused("a number has more than 56 bits")
        upto = stop ^ (stop - _ONE)  # all bits up to the first byte that does not go on
        bits = word & upto & _SEVEN_BITS
        for low, high, shift in _JOINS:
            bits = bits & low | (bits & high) >> shift
        number = bits.view(np.int64)
        size = np.bitwise_count(upto) >> 3
        return (number >> 1) ^ -(number & 1), at + size

    def _check_inside(self) -> None:
        if self._at.size and self._at.max() > self._size:
            raise ColumnsRefused("a record ends within a field")


def _spread(column: Column, rows: npt.NDArray[np.intp], count: int) -> Column:
    """The column with zeros, or empty text, for the rows that have no value."""
    if isinstance(column, Text):
        start, length = np.zeros(count, np.int64), np.zeros(count, np.int64)
        start[rows], length[rows] = column.start, column.length
        return Text(column.buffer, start, length)
    values = np.zeros(count, np.int64)
    values[rows] = column.values
    return Numbers(values)
