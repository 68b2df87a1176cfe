"""Kafka positions of a batch's records: the columns that every raw table has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sinks.audit.columns.avro import Numbers
from sinks.audit.columns.native import Column, constant_column
from sinks.audit.columns.text import Longs


class KafkaPositions(NamedTuple):
    """Topic, partition and offset of n records, and when their rows are inserted."""

    topic: str
    partition: Longs
    offset: Longs
    ingested_at_ms: int

    def select(self, rows: npt.NDArray[np.intp] | slice) -> KafkaPositions:
        """The positions of some of the records."""
        return self._replace(partition=self.partition[rows], offset=self.offset[rows])

    def inserted_at(self, ingested_at_ms: int) -> KafkaPositions:
        """The same with another time of insertion."""
        return self._replace(ingested_at_ms=ingested_at_ms)

    def columns(self) -> dict[str, Column]:
        """As columns of a raw table."""
        count = self.offset.size
        return {
            "kafka_topic": constant_column(self.topic, count),
            "kafka_partition": Numbers(self.partition),
            "kafka_offset": Numbers(self.offset),
            "ingested_at": Numbers(np.full(count, self.ingested_at_ms, np.int64)),
        }
