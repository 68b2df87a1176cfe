"""The Native format's block without rows: names and types alone.

ClickHouse sends it for an empty answer, so that clients know the columns; chDB sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def empty(connection: Any, sql: str, parameters: Mapping[str, str]) -> bytes:
    """The block for a SELECT without FORMAT clause that has just answered no rows."""
    names_and_types = connection.query(
        sql, "TSVRawWithNamesAndTypes", params=dict(parameters)
    ).bytes()
    lines = names_and_types.decode().split("\n")
    if len(lines) < 2:
        return b""
    return encode(lines[0].split("\t"), lines[1].split("\t"))


def encode(names: list[str], types: list[str]) -> bytes:
    """A block of `len(names)` columns and no row."""
    columns = (_text(name) + _text(kind) for name, kind in zip(names, types, strict=True))
    return _varint(len(names)) + _varint(0) + b"".join(columns)


def _text(value: str) -> bytes:
    data = value.encode()
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
