"""How answers look on the wire: headers by format, chunks, and errors after the first chunk."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from devstack.clickhouse_http.errors import ClickHouseError

_CONTENT_TYPES = {
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
}


@dataclass(frozen=True)
class ServerFacts:
    """What every answer's headers say of the server."""

    timezone: str
    display_name: str = "paystream"


def content_type(format_name: str) -> str:
    """The media type of a format."""
    return _CONTENT_TYPES.get(format_name, "text/plain; charset=UTF-8")


def new_exception_tag() -> str:
    """A mark that no answer holds by chance, announced before the body."""
    return secrets.token_hex(8)


def exception_block(error: ClickHouseError, tag: str) -> bytes:
    """What ends a body whose query failed after its first bytes were sent (ClickHouse ≥ 25.11)."""
    message = str(error).encode()
    frame = f"\r\n__exception__\r\n{tag}\r\n".encode()
    return frame + message + f"\n{len(message)} {tag}\r\n__exception__\r\n".encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
