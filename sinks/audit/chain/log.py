"""Records of a partition, read again from Kafka to continue the chain of another worker."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine import TopicPartition
from runtime.kafka import read_partition
from runtime.kafka_connection import KafkaConnection
from sinks.audit.chain.chain import Leaves, Offsets, leaves_of


class ChainLogReader:
    """Reads committed records between two offsets; records that make no row are left out."""

    def __init__(self, kafka: KafkaConnection, makes_rows: Callable[[str, bytes], bool]) -> None:
        self._kafka = kafka
        self._makes_rows = makes_rows

    def read(self, source: TopicPartition, first: int, end: int) -> tuple[Offsets, Leaves]:
        """Offsets and leaves of first <= offset < end. Raises RecordsGone, TopicUnreadable."""
        if first >= end:
            return np.zeros(0, np.int64), leaves_of([])
        stored = read_partition(self._kafka, *source, first, end)
        found = [(record.offset, record.value or b"") for record in stored]
        kept = [(at, value) for at, value in found if self._makes_rows(source.topic, value)]
        offsets = np.array([at for at, _ in kept], np.int64)
        return offsets, leaves_of([value for _, value in kept])
