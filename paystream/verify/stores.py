"""Reading ClickHouse, Valkey and the simulators' logs whole, in a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import redis
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from paystream.verify.sources import SourceUnavailable
from runtime import valkey
from runtime.clickhouse import UNAVAILABLE, connect
from runtime.store_connections import ClickHouseConnection, ValkeyConnection

_TIMEOUT_SECONDS = 30.0
_SCAN_KEYS = 1_000
_TEXTS_FORMAT = "JSONCompactEachRow"
_TEXT_COLUMNS = """
SELECT table, arrayStringConcat(groupArray(name), ', ') AS columns FROM system.columns
WHERE database = {database:String} AND type LIKE '%String%' AND table IN (
    SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'
)
GROUP BY table ORDER BY table
"""


def clickhouse(where: ClickHouseConnection) -> Client:
    """A client. Raises SourceUnavailable."""
    try:
        return connect(where)
    except UNAVAILABLE as error:
        raise SourceUnavailable(f"ClickHouse does not answer: {_first_line(error)}") from error


def rows(
    where: ClickHouseConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Rows of a query by column name. Raises SourceUnavailable."""
    client = clickhouse(where)
    try:
        with client.query_row_block_stream(sql, parameters=dict(parameters or {})) as stream:
            names = stream.source.column_names
            for block in stream:
                for row in block:
                    yield dict(zip(names, row, strict=True))
    except (ClickHouseError, OSError) as error:
        raise SourceUnavailable(f"ClickHouse: {_first_line(error)}") from error
    finally:
        client.close()


def table_lines(where: ClickHouseConnection, database: str) -> Iterator[tuple[str, bytes]]:
    """Table and a row's texts as a JSON array, of all MergeTree tables. Raises SourceUnavailable.

    Only columns with text: a number of 64 bits may look like anything.
    """
    found = list(rows(where, _TEXT_COLUMNS, {"database": database}))
    client = clickhouse(where)
    try:
        for row in found:
            table = f"{database}.{row['table']}"
            answer = client.raw_stream(f"SELECT {row['columns']} FROM {table}", fmt=_TEXTS_FORMAT)  # noqa: S608 - names come from system.columns
            for line in answer:
                yield table, line
    except (ClickHouseError, OSError) as error:
        raise SourceUnavailable(f"ClickHouse: {_first_line(error)}") from error
    finally:
        client.close()


def cache_entries(where: ValkeyConnection, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Keys of Valkey that match, with their values of any type. Raises SourceUnavailable."""
    client = valkey.connect(where, _TIMEOUT_SECONDS)
    try:
        for key in client.scan_iter(match=pattern, count=_SCAN_KEYS):
            value = _value(client, key)
            if value is not None:
                yield key.decode("utf-8", "replace"), value
    except redis.RedisError as error:
        raise SourceUnavailable(f"Valkey does not answer: {_first_line(error)}") from error
    finally:
        client.close()


def _value(client: Any, key: bytes) -> bytes | None:
    """The value as bytes; None if it expired since the scan. (redis types its answers loosely.)"""
    readers: dict[bytes, Callable[[bytes], object]] = {
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda name: client.lrange(name, 0, -1),
        b"zset": lambda name: client.zrange(name, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    kind = client.type(key)
    if kind in readers:
        return repr(readers[kind](key)).encode()
    value: bytes | None = client.get(key)
    return value


def ndjson(url: str) -> Iterator[Mapping[str, Any]]:
    """Lines of a log that is served as NDJSON. Raises SourceUnavailable."""
    try:
        with httpx2.stream("GET", url, timeout=_TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)
    except (httpx2.HTTPError, ValueError) as error:
        raise SourceUnavailable(f"{url} does not answer: {_first_line(error)}") from error


def json_list(url: str, name: str) -> list[Mapping[str, Any]] | None:
    """A list in a JSON answer; None if there is no such page. Raises SourceUnavailable."""
    try:
        answer = httpx2.get(url, timeout=_TIMEOUT_SECONDS)
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return list(answer.json()[name])
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise SourceUnavailable(f"{url} does not answer: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
