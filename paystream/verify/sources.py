"""Where evidence comes from: a port, so that rules see real parts and tests inject violations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from runtime.consumer_lag import GroupPosition
from runtime.kafka import StoredRecord


class SourceUnavailable(Exception):
    """A part that a rule needs cannot be read; the message says which and what to do."""


class GroupBacklog(NamedTuple):
    """A group's position, and how many records a read_committed reader gets from there.

    The count matters because transaction markers take offsets but are no records.
    """

    at: GroupPosition
    unread_records: int


class Sources(Protocol):
    """Everything that verify reads. Each method raises SourceUnavailable if its part is not
    there.
    """

    def records(self, topic: str) -> Iterator[StoredRecord]:
        """The whole topic, read_committed; each partition in offset order."""

    def log_starts(self, topic: str) -> Mapping[int, int]:
        """Partition -> offset of the oldest record that retention has left."""

    def topics(self) -> list[str]:
        """Names of all topics, those of the broker itself excepted."""

    def query(self, sql: str) -> Iterator[Mapping[str, Any]]:
        """Rows of a ClickHouse query, by column name, in blocks from a stream."""

    def table_lines(self, database: str) -> Iterator[tuple[str, bytes]]:
        """Table name and a row's texts, as a JSON array, of every ClickHouse table."""

    def cache_entries(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Keys of Valkey that match, with their values as bytes."""

    def counterparty_log(self, name: str) -> Iterator[Mapping[str, Any]]:
        """What `network`, `bank` or `receiver` did, a line per effect."""

    def injected_discrepancies(self) -> list[Mapping[str, Any]] | None:
        """What a simulated network got wrong in its reports on request; None for a real one."""

    def accepted_commands(self) -> Iterator[Mapping[str, Any]] | None:
        """Commands that were acknowledged to senders; None if no sender kept a log."""

    def positions(self) -> list[GroupBacklog]:
        """Every consumer group of the pipeline on every partition that it reads."""

    def log_lines(self) -> Iterator[tuple[str, bytes]]:
        """File name and line of every text log under the state directory."""
