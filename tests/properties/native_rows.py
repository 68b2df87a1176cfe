"""Reads the Native blocks of the inserts byte by byte: slow, plain and apart from their writer."""

from __future__ import annotations

import struct
from typing import Any

FIXED = {
    "UInt8": "<B",
    "Int32": "<i",
    "Int64": "<q",
    "UInt64": "<Q",
    "DateTime64(3, 'UTC')": "<q",
}


class NativeRows:
    """One block; rows as dicts by column name. String values stay bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def rows(self) -> list[dict[str, Any]]:
        columns, rows = self._varint(), self._varint()
        found: dict[str, list[Any]] = {}
        for _ in range(columns):
            name, kind = self._text().decode(), self._text().decode()
            found[name] = self._column(kind, rows)
        assert self._at == len(self._data), "bytes are left over"
        return [dict(zip(found, values, strict=True)) for values in zip(*found.values())]  # noqa: B905 - columns of one length

    def _column(self, kind: str, rows: int) -> list[Any]:
        if kind == "String":
            return [self._text() for _ in range(rows)]
        if kind == "LowCardinality(String)":
            return self._words(rows)
        if kind.startswith("Nullable("):
            absent = [self._fixed("<B") for _ in range(rows)]
            values = self._column(kind[len("Nullable(") : -1], rows)
            return [None if no else value for no, value in zip(absent, values, strict=True)]
        return [self._fixed(FIXED[kind]) for _ in range(rows)]

    def _words(self, rows: int) -> list[Any]:
        if not rows:
            return []
        assert self._fixed("<Q") == 1
        assert self._fixed("<Q") == 0x600
        names = [self._text() for _ in range(self._fixed("<Q"))]
        assert self._fixed("<Q") == rows
        return [names[self._fixed("<B")] for _ in range(rows)]

    def _fixed(self, layout: str) -> Any:
        [value] = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return value

    def _text(self) -> bytes:
        size = self._varint()
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
