"""Dataset from the running parts: Kafka, ClickHouse, Valkey, the simulators, files."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paystream.operations.lag import wait_caught_up
from paystream.verify import stores
from paystream.verify.sources import GroupBacklog, SourceUnavailable
from runtime import consumer_lag
from runtime.kafka import StoredRecord, TopicUnreadable, read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.settings import ConfigurationError, connections
from runtime.store_connections import ClickHouseConnection

ACCEPTED_LOG = Path("traffic") / "accepted.ndjson"
CATCH_UP_SECONDS_MAX = 30.0
_LINE_BYTES_MAX = 1 << 20
_LOG_SUFFIXES = {".log", ".ndjson", ".jsonl", ".txt", ".env"}
_SEGMENT_NAME_DIGITS = 20  # Kafka's own data files are named by a 20-digit offset


class LiveSources:
    """The parts that the environment names; what is not set or does not answer is missing."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._at = connections(env)

    def _need(self, name: str) -> str:
        try:
            return str(getattr(self._at.need(name), name))
        except ConfigurationError as error:
            raise SourceUnavailable(str(error)) from error

    def _kafka(self) -> KafkaConnection:
        self._need("kafka_bootstrap_servers")
        return self._at.kafka

    def _clickhouse(self) -> ClickHouseConnection:
        self._need("clickhouse_url")
        return self._at.clickhouse

    def records(self, topic: str) -> Iterator[StoredRecord]:
        """The whole topic, read_committed."""
        kafka = self._kafka()
        try:
            yield from read_topic(kafka, topic)
        except TopicUnreadable as error:
            raise SourceUnavailable(f"Kafka: {error}") from error

    def log_starts(self, topic: str) -> Mapping[int, int]:
        """Partition -> offset of the oldest record."""
        try:
            client = consumer_lag.admin(self._kafka())
            where = [(topic, p) for p in consumer_lag.partitions(client).get(topic, ())]
            starts = consumer_lag.ends(client, where, "start")
        except TopicUnreadable as error:
            raise SourceUnavailable(f"Kafka: {error}") from error
        return {partition: offset for (_, partition), offset in starts.items()}

    def topics(self) -> list[str]:
        """Names of all topics but the broker's own."""
        try:
            client = consumer_lag.admin(self._kafka())
            return list(consumer_lag.partitions(client))
        except TopicUnreadable as error:
            raise SourceUnavailable(f"Kafka: {error}") from error

    def positions(self) -> list[GroupBacklog]:
        """Every group of the pipeline, with what it has left to read."""
        kafka = self._kafka()
        try:
            found = wait_caught_up(kafka, CATCH_UP_SECONDS_MAX)
        except TopicUnreadable as error:
            raise SourceUnavailable(f"Kafka: {error}") from error
        return [GroupBacklog(*one) for one in found]

    def query(self, sql: str) -> Iterator[Mapping[str, Any]]:
        """Rows of a ClickHouse query."""
        return stores.rows(self._clickhouse(), sql)

    def table_lines(self, database: str) -> Iterator[tuple[str, bytes]]:
        """Table name and a row's texts as a JSON array, of all tables that hold data."""
        return stores.table_lines(self._clickhouse(), database)

    def cache_entries(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Keys of Valkey that match, with their values."""
        self._need("redis_url")
        return stores.cache_entries(self._at.valkey, pattern)

    def counterparty_log(self, name: str) -> Iterator[Mapping[str, Any]]:
        """Lines of `GET /log` of the network, the bank or the receiver."""
        return stores.ndjson(self._need(f"{name}_url") + "/log")

    def injected_discrepancies(self) -> list[Mapping[str, Any]] | None:
        """`GET /v1/settlements/differences` of a simulated network; a real one has no such page."""
        return stores.json_list(
            self._need("network_url") + "/v1/settlements/differences", "differences"
        )

    def accepted_commands(self) -> Iterator[Mapping[str, Any]] | None:
        """Commands that the API acknowledged to the traffic of this state directory."""
        if not self._at.paystream_state_dir:
            return None
        path = Path(self._at.paystream_state_dir) / ACCEPTED_LOG
        return _json_lines(path) if path.exists() else None

    def log_lines(self) -> Iterator[tuple[str, bytes]]:
        """Lines of all text logs under the state directory."""
        root = Path(self._need("paystream_state_dir"))
        for path in _text_logs(root):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # rotated away
                while line := file.readline(_LINE_BYTES_MAX):
                    yield str(path.relative_to(root)), line


def _text_logs(root: Path) -> list[Path]:
    """Directories may vanish meanwhile: stores merge their files."""
    files = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return sorted(path for path in files if path.suffix in _LOG_SUFFIXES and not _is_segment(path))


def _is_segment(path: Path) -> bool:
    return len(path.stem) == _SEGMENT_NAME_DIGITS and path.stem.isdigit()


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """A last line without its end was never acknowledged as written: it is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
