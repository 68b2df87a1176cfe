"""What consumer groups have left to read, in records: transaction markers do not count."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from runtime.consumer_lag import GroupPosition, positions
from runtime.kafka import TopicUnreadable, consumer_settings
from runtime.kafka_connection import KafkaConnection
from workers.catalogue import GROUPS

EXACT_COUNT_OFFSETS_MAX = 20_000
_POLL_SECONDS = 0.2
_POLL_RECORDS_MAX = 5_000
_SILENCE_SECONDS_MAX = 10.0
_CHECK_SECONDS = 0.5


class Unread(NamedTuple):
    """A position and the committed records below its stable end that the group has not read."""

    position: GroupPosition
    records: int


def unread(kafka: KafkaConnection, found: Iterable[GroupPosition]) -> list[Unread]:
    """Counted by reading what lies between, a reader per group. Raises TopicUnreadable.

    A lag of a group above EXACT_COUNT_OFFSETS_MAX is given in offsets.
    """
    result = []
    by_group: dict[str, list[GroupPosition]] = {}
    for position in found:
        if position.readable:
            by_group.setdefault(position.group, []).append(position)
        else:
            result.append(Unread(position, 0))
    for lagging in by_group.values():
        if sum(p.readable for p in lagging) > EXACT_COUNT_OFFSETS_MAX:
            result += [Unread(p, p.readable) for p in lagging]
        else:
            result += _count(kafka, lagging)
    return sorted(result)


def _count(kafka: KafkaConnection, lagging: list[GroupPosition]) -> list[Unread]:
    records = {(p.topic, p.partition): 0 for p in lagging}
    ends = {(p.topic, p.partition): p.stable_end for p in lagging}
    open_partitions = set(ends)
    settings = consumer_settings(kafka, "paystream-reader") | {"enable.partition.eof": True}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(p.topic, p.partition, p.next_offset) for p in lagging])
    heard = time.monotonic()
    try:
        while open_partitions:
            messages = consumer.consume(_POLL_RECORDS_MAX, _POLL_SECONDS)
            heard = time.monotonic() if messages else heard
            if time.monotonic() - heard > _SILENCE_SECONDS_MAX:
                raise TopicUnreadable(
                    f"{len(open_partitions)} partitions did not answer. Check the brokers."
                )
            for message in messages:
                where = (message.topic(), message.partition())
                error = message.error()
                if error is None and message.offset() < ends[where]:
                    records[where] += 1
                elif error is None or error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(where)
    finally:
        consumer.close()
    return [Unread(p, records[p.topic, p.partition]) for p in lagging]


def wait_caught_up(
    kafka: KafkaConnection, timeout_seconds: float, groups: Iterable[str] = GROUPS
) -> list[Unread]:
    """How far each group reads, within the time, what is in the log now.

    The ends are those at the call. Later records (a webhook's next attempt) do not count.
    Raises TopicUnreadable.
    """
    deadline = time.monotonic() + timeout_seconds
    groups = tuple(groups)
    goals = {p.place: p.end for p in positions(kafka, groups)}
    while True:
        now = [p.up_to(goals[p.place]) for p in positions(kafka, groups) if p.place in goals]
        found = unread(kafka, now)
        done = all(u.records == 0 and u.position.stable_end == u.position.end for u in found)
        if done or time.monotonic() > deadline:
            return found
        time.sleep(_CHECK_SECONDS)
