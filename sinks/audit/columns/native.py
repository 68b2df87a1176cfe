"""Columns as one block of ClickHouse's Native format, byte for byte what the HTTP insert carries.

Source: ClickHouse documentation, formats "Native" and data type "LowCardinality".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sinks.audit.columns.avro import ColumnsRefused, Numbers
from sinks.audit.columns.text import Text, copy_text, is_utf8

_LOW_CARDINALITY_VERSION = 1
_OWN_KEYS_ONE_BYTE_INDEX = 1 << 9 | 1 << 10
_LENGTH_MAX = 1 << 14
_TYPES: dict[str, np.dtype[Any]] = {
    "UInt8": np.dtype("u1"),
    "Int32": np.dtype("<i4"),
    "Int64": np.dtype("<i8"),
    "UInt64": np.dtype("<u8"),
    "DateTime64(3, 'UTC')": np.dtype("<i8"),
}


class LowCardinality(NamedTuple):
    """Text with few distinct values: row i is `names[codes[i]]`."""

    codes: npt.NDArray[np.uint8]
    names: Sequence[str]


class Binary(NamedTuple):
    """Text that need not be UTF-8."""

    text: Text


Column = Text | Binary | LowCardinality | Numbers


def constant_column(name: str, count: int) -> LowCardinality:
    """The same value in every row."""
    return LowCardinality(np.zeros(count, np.uint8), (name,))


def block(columns: Iterable[tuple[str, str]], values: Mapping[str, Column], rows: int) -> bytes:
    """A block of (name, type) columns.

    Text for a LowCardinality column is sent plain, ClickHouse builds the dictionary. Raises
    ColumnsRefused if a value does not fit its type.
    """
    columns = tuple(columns)
    parts = [_varint(len(columns)), _varint(rows)]
    for name, kind in columns:
        column = values[name]
        sent = "String" if isinstance(column, Text | Binary) else kind
        parts += (_string(name), _string(sent), *_data(column, kind))
    return b"".join(parts)


def _data(column: Column, kind: str) -> Iterable[bytes]:
    if isinstance(column, Text):
        return (_text(column, utf8=True),)
    if isinstance(column, Binary):
        return (_text(column.text, utf8=False),)
    if isinstance(column, LowCardinality):
        return (_low_cardinality(column),)
    if kind.startswith("Nullable("):
        absent = ~column.present if column.present is not None else column.values < column.values
        return (absent.tobytes(), _numbers(column.values, kind[len("Nullable(") : -1]))
    return (_numbers(column.values, kind),)


def _numbers(values: npt.NDArray[np.int64], kind: str) -> bytes:
    wanted = _TYPES[kind]
    limits = np.iinfo(wanted)
    if values.size and (values.min() < limits.min or int(values.max()) > limits.max):
        raise ColumnsRefused(f"a number does not fit into {kind}")
    return bytes(values.astype(wanted, copy=False).data)


def _low_cardinality(column: LowCardinality) -> bytes:
    if not column.codes.size:
        return b""
    keys = b"".join(map(_string, column.names))
    head = (_LOW_CARDINALITY_VERSION, _OWN_KEYS_ONE_BYTE_INDEX, len(column.names))
    count = np.array([column.codes.size], "<u8").tobytes()
    return np.array(head, "<u8").tobytes() + keys + count + column.codes.tobytes()


def _text(column: Text, *, utf8: bool) -> bytes:
    """Each row as its length (LEB128, one or two bytes) and its bytes."""
    length = column.length
    if not length.size:
        return b""
    longest = int(length.max())
    if longest >= _LENGTH_MAX:
        raise ColumnsRefused(f"a text of {longest} bytes")
    wide = length > 127 if longest > 127 else None
    after = np.cumsum(length + 1 if wide is None else length + 1 + wide)
    at = after - length
    written = np.empty(int(after[-1]), np.uint8)
    if wide is None:
        written[at - 1] = length
    else:
        written[at - 1 - wide] = length & 127 | wide * 128
        written[at[wide] - 1] = length[wide] >> 7
    copy_text(column, written, at)
    if utf8 and written.max() > 127 and not is_utf8(column):
        raise ColumnsRefused("a text is not UTF-8")
    return written.tobytes()


def _string(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
