"""Kafka's messages as rows in one database, through the sink's own mapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from runtime.clock import now_ms
from runtime.store_connections import ClickHouseConnection
from schemas.codec import UndecodableRecord, decode
from sinks.audit.app import SOURCES
from sinks.audit.raw_table import KafkaPosition, Row, Table
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import DecodedRecord, LedgerStore, rows_of

INSERT_TIMEOUT_SECONDS = 60


class RowWriter:
    """Writes the rows that the sink would write for the same messages."""

    def __init__(self, where: ClickHouseConnection, databases: DatabaseNames) -> None:
        self._store = LedgerStore(where, databases, INSERT_TIMEOUT_SECONDS)
        self.records = 0
        self.unreadable = 0

    def insert(self, messages: Sequence[Any]) -> None:
        """One insert per table. Raises LedgerUnavailable, RowsRefused.

        A record that cannot be mapped gets no row, as the sink gave it none: it stands in the dead
        letters.
        """
        by_topic: defaultdict[str, list[Any]] = defaultdict(list)
        for message in messages:
            by_topic[message.topic()].append(message)
        at_ms = now_ms()
        for topic, found in by_topic.items():
            records = [
                record for message in found if (record := self._sourced(message, at_ms)) is not None
            ]
            for table, rows in self._rows(SOURCES[topic][1], records):
                self._store.insert(table, rows)
        self.records += len(messages)

    def close(self) -> None:
        """Drop the connection."""
        self._store.close()

    def _sourced(self, message: Any, at_ms: int) -> DecodedRecord | None:
        value = message.value() or b""
        position = KafkaPosition(
            message.topic(), message.partition(), message.offset(), at_ms, value
        )
        try:
            return DecodedRecord(decode(SOURCES[message.topic()][0], value), position)
        except UndecodableRecord:
            self.unreadable += 1
            return None

    def _rows(
        self, tables: Sequence[Table], records: list[DecodedRecord]
    ) -> list[tuple[Table, list[Row]]]:
        try:
            return [(table, rows_of(table, records)) for table in tables]
        except ValueError:
            mappable = [record for record in records if self._is_mappable(tables, record)]
            self.unreadable += len(records) - len(mappable)
            return [(table, rows_of(table, mappable)) for table in tables]

    @staticmethod
    def _is_mappable(tables: Sequence[Table], record: DecodedRecord) -> bool:
        try:
            for table in tables:
                rows_of(table, [record])
        except ValueError:
            return False
        return True
