"""A checksum over every byte of a raw table's rows, and where two tables differ.

The checksum is the sum, modulo 2^256, of the SHA-256 of each row in RowBinary: it does not depend
on the order of rows, nor on parts or merges. `ingested_at` is left out: it says when the row was
inserted, not what it says, and is another at each insert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from engine import TopicPartition

LEFT_OUT = "ingested_at"
EXAMPLES_MAX = 5
_MODULUS = 2**256
_OFFSET_RANGE = "(toString(kafka_topic), kafka_partition, intDiv(kafka_offset, 4096))"


class Checksum(NamedTuple):
    """How many rows, and the sum over them."""

    rows: int
    total: int

    def plus(self, other: Checksum) -> Checksum:
        """Of both sets of rows together, if no row is in both."""
        return Checksum(self.rows + other.rows, (self.total + other.total) % _MODULUS)

    @property
    def digits(self) -> str:
        """As 64 hexadecimal digits."""
        return f"{self.total:064x}"


class Compared(NamedTuple):
    """One table on both sides, up to where both are."""

    table: str
    live: Checksum
    rebuilt: Checksum

    @property
    def same(self) -> bool:
        """Byte for byte, but for ingested_at."""
        return self.live == self.rebuilt

    def plus(self, other: Compared) -> Compared:
        """With more rows of the same table."""
        return Compared(self.table, self.live.plus(other.live), self.rebuilt.plus(other.rebuilt))


class Bounds(NamedTuple):
    """Rows below these offsets (`below`), or all other rows."""

    ends: Mapping[TopicPartition, int]
    below: bool = True

    def condition(self) -> str:
        """As SQL over kafka_topic, kafka_partition, kafka_offset."""
        pairs = ", ".join(
            f"'{topic}|{number}', {end}" for (topic, number), end in self.ends.items()
        )
        known = f"map({pairs})" if pairs else "CAST(map(), 'Map(String, Int64)')"
        source = "concat(kafka_topic, '|', toString(kafka_partition))"
        return f"kafka_offset {'<' if self.below else '>='} ({known})[{source}]"


def row_hash(client: Client, database: str, table: str) -> str:
    """The SQL expression of one row's SHA-256."""
    columns = client.query(
        "SELECT name FROM system.columns WHERE database = {database:String}"
        " AND table = {table:String} AND name != {left_out:String} ORDER BY name",
        parameters={"database": database, "table": table, "left_out": LEFT_OUT},
    ).result_rows
    return f"SHA256(formatRow('RowBinary', {', '.join(str(name) for (name,) in columns)}))"


def checksum(client: Client, database: str, table: str, *bounds: Bounds) -> Checksum:
    """Of the rows that views see (one for each identity) within all these bounds."""
    where = " AND ".join(each.condition() for each in bounds) or "true"
    row = row_hash(client, database, table)
    [(rows, total)] = client.query(
        f"SELECT count(), toString(sumWithOverflow(reinterpretAsUInt256({row})))"  # noqa: S608 - our names
        f" FROM {database}.{table} FINAL WHERE {where}"
    ).result_rows
    return Checksum(int(rows), int(total))


def live_ends(client: Client, database: str, table: str) -> dict[TopicPartition, int]:
    """Per partition the offset after the last one that gave, or should have given, a row."""
    rows = client.query(
        "SELECT kafka_topic, kafka_partition, max(last) + 1 FROM ("  # noqa: S608 - our names
        f"SELECT kafka_topic, kafka_partition, kafka_offset AS last FROM {database}.{table}"
        " UNION ALL SELECT kafka_topic, kafka_partition, last_offset AS last"
        f" FROM {database}.progress WHERE table_name = {{table:String}}) GROUP BY ALL",
        parameters={"table": table},
    ).result_rows
    return {TopicPartition(str(topic), int(partition)): int(end) for topic, partition, end in rows}


def examples(
    client: Client, live: str, rebuilt: str, table: str, ends: Mapping[TopicPartition, int]
) -> list[str]:
    """Places of the first rows that stand on one side only, as `live payments.events[3]@17`.

    Offset ranges are compared first, so that single rows are read in a few ranges only.
    """
    sides = (("live", live, "true"), ("rebuilt", rebuilt, Bounds(ends).condition()))
    offset_ranges = _offset_ranges(client, sides, table)
    if not offset_ranges:
        return []
    rows = client.query(
        "SELECT any(side), any(kafka_topic), any(kafka_partition), any(kafka_offset) FROM ("  # noqa: S608 - our names
        + " UNION ALL ".join(
            f"SELECT '{side}' AS side, kafka_topic, kafka_partition, kafka_offset,"  # noqa: S608 - as above
            f" {row_hash(client, database, table)} AS hash"
            f" FROM {database}.{table} FINAL WHERE {where} AND {_OFFSET_RANGE} IN ({offset_ranges})"
            for side, database, where in sides
        )
        + ") GROUP BY hash HAVING uniqExact(side) = 1"
        f" ORDER BY 2, 3, 4, 1 LIMIT {EXAMPLES_MAX}"
    ).result_rows
    return [f"{side} {topic}[{number}]@{offset}" for side, topic, number, offset in rows]


def _offset_ranges(client: Client, sides: Sequence[tuple[str, str, str]], table: str) -> str:
    """The first offset_ranges that differ, as literals of a list."""
    rows = client.query(
        "SELECT offset_range FROM ("  # noqa: S608 - our names
        + " UNION ALL ".join(
            f"SELECT {_OFFSET_RANGE} AS offset_range, count() AS rows,"  # noqa: S608 - as above
            f" sumWithOverflow(reinterpretAsUInt256({row_hash(client, database, table)})) AS total"
            f" FROM {database}.{table} FINAL WHERE {where} GROUP BY offset_range"
            for _, database, where in sides
        )
        + ") GROUP BY offset_range HAVING count() = 1 OR uniqExact((rows, total)) > 1"
        f" ORDER BY offset_range LIMIT {EXAMPLES_MAX}"
    ).result_rows
    return ", ".join(f"('{topic}', {number}, {first})" for ((topic, number, first),) in rows)
