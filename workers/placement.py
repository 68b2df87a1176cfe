"""A record must have its own key and be in the key's partition, where its state is.

librdkafka's default partitioner is CRC32, and Kafka takes a record in any partition that its writer
names. In another one than murmur2's the record would begin a second state of the same thing.
"""

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from engine import Batch, EngineApp, Record
from schemas.partitioning import partition_of
from schemas.topics import TOPICS

_ONE_FIELD = re.compile(r"\{(\w+)\}")


class MisplacedRecord(Exception):
    """The record has another key than its content says, or is in another partition."""


class Placement:
    """Checks records of topics whose key is one field of the record."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    @classmethod
    def of(cls, app: EngineApp) -> "Placement":
        """For the app's topics, which have as many partitions as its tables."""
        return cls(int(app.conf.topic_partitions))

    def records(self, batch: Batch) -> Iterator[Record]:
        """The batch's records. Raises MisplacedRecord at the first one that is out of place."""
        key_of = _key_of(batch.topic)
        for record in batch:
            self._check(record, key_of(record.value))
            yield record

    def _check(self, record: Record, key: str) -> None:
        if record.key != key:
            raise MisplacedRecord(
                f"The record about {key!r} has the key {record.key!r}. Produce it with {key!r}."
            )
        wanted = partition_of(key, self._partitions)
        if record.partition != wanted:
            raise MisplacedRecord(
                f"The record is in partition {record.partition}, and its key belongs in {wanted}."
                " Use the partitioner murmur2 (librdkafka: partitioner=murmur2_random)."
            )


def _key_of(topic: str) -> Callable[[Any], str]:
    envelope = TOPICS[topic].envelope
    found = _ONE_FIELD.fullmatch(envelope.key) if envelope else None
    if found is None:
        raise ValueError(f"The key of {topic} is not one field of its record.")
    return attrgetter(found[1])
