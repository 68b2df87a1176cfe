"""Where a record is: the one name that all parts of the engine use."""

from __future__ import annotations

from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic; equal to the tuple `(topic, partition)`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """As it appears in logs: `topic[partition]`."""
        return f"{self.topic}[{self.partition}]"
