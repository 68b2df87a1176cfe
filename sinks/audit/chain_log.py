"""Records of a partition read again from Kafka, to go on with a chain that another worker began."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime.kafka import consumer_settings
from sinks.audit.chain import Leaves, Offsets, Place, leaves_of

_POLL_SECONDS = 0.1
_POLL_RECORDS_MAX = 5_000
_SILENCE_SECONDS_MAX = 30.0


class LogUnreadable(Exception):
    """The records are gone or the broker does not answer."""


class LogReader:
    """Reads committed records between two offsets; those that give no row are left out."""

    def __init__(self, bootstrap_servers: str, gives_rows: Callable[[str, bytes], bool]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._gives_rows = gives_rows

    def read(self, place: Place, first: int, end: int) -> tuple[Offsets, Leaves]:
        """Offsets and leaves of first <= offset < end. Raises LogUnreadable."""
        if first >= end:
            return np.zeros(0, np.int64), leaves_of([])
        consumer = Consumer(consumer_settings(self._bootstrap_servers, "paystream-reader"))
        try:
            found = self._found(consumer, place, first, end)
        except KafkaException as error:
            raise LogUnreadable(f"{place.topic}/{place.partition} from {first}: {error}") from error
        finally:
            consumer.close()
        kept = [(at, value) for at, value in found if self._gives_rows(place.topic, value)]
        offsets = np.array([at for at, _ in kept], np.int64)
        return offsets, leaves_of([value for _, value in kept])

    def _found(
        self, consumer: Consumer, place: Place, first: int, end: int
    ) -> list[tuple[int, bytes]]:
        at = TopicPartition(place.topic, place.partition, first)
        start, _ = consumer.get_watermark_offsets(at, timeout=_SILENCE_SECONDS_MAX)
        if start > first:
            raise LogUnreadable(
                f"{place.topic}/{place.partition} begins at {start}: retention took {first}"
            )
        consumer.assign([at])
        found: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + _SILENCE_SECONDS_MAX
        while self._position(consumer, at, first) < end:
            messages = consumer.consume(_POLL_RECORDS_MAX, _POLL_SECONDS)
            if messages:
                deadline = time.monotonic() + _SILENCE_SECONDS_MAX
            elif time.monotonic() > deadline:
                raise LogUnreadable(f"{place.topic}/{place.partition}: no answer from {first} on")
            good = [m for m in messages if m.error() is None]
            found += [(m.offset(), m.value() or b"") for m in good if m.offset() < end]
            if good and good[-1].offset() >= end - 1:
                break
        return found

    @staticmethod
    def _position(consumer: Consumer, at: TopicPartition, first: int) -> int:
        [place] = consumer.position([at])
        return max(first, int(place.offset))
