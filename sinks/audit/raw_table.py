"""What a raw table is: its name, its columns, and how a record becomes rows.

Times are epoch milliseconds, which is what a DateTime64(3) column takes; absent text is empty.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Row = tuple[Any, ...]
Columns = tuple[tuple[str, str], ...]

LOW_CARDINALITY = "LowCardinality(String)"
TIME = "DateTime64(3, 'UTC')"
POSITION_COLUMNS: Columns = (
    ("kafka_topic", LOW_CARDINALITY),
    ("kafka_partition", "Int32"),
    ("kafka_offset", "Int64"),
    ("ingested_at", TIME),
)


class KafkaPosition(NamedTuple):
    """Where a record was read, when its rows are inserted (epoch milliseconds), and its bytes.

    Without the bytes a row holds what the record is in the newest version of its contract.
    """

    topic: str
    partition: int
    offset: int
    ingested_at_ms: int
    record: bytes = b""

    @property
    def columns(self) -> Row:
        """Values of the columns that every raw table ends with."""
        return (self.topic, self.partition, self.offset, self.ingested_at_ms)


class Table(NamedTuple):
    """A raw table and how a record becomes its rows (none, one or several)."""

    name: str
    columns: Columns
    rows: Callable[[Any, KafkaPosition], Iterable[Row]]
