"""Positions of consumer groups, the ends of their topics, and the lag between them."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime.kafka import TopicUnreadable, client_settings, consumer_settings
from runtime.kafka_connection import KafkaConnection
from schemas.topics import MERCHANTS, TOPICS

_CALLS = "-calls"  # how the engine names the group of an app's parallel consumers
_TIMEOUT_SECONDS = 10.0
_AGAIN_SECONDS = 0.1
_COORDINATOR_MOVES = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""It starts, or another broker takes over; librdkafka 2.16 gives up sooner than it may."""


class GroupPosition(NamedTuple):
    """One group on one partition; `committed` is None if it never committed there.

    `stable_end` is the last stable offset: what a read_committed reader can reach. `end` is the
    high watermark. They differ while a transaction is open.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    start: int
    stable_end: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets still to go to the log's end; up to one more per transaction (its marker).

        Behind a transaction that stays open nothing can be read: that is lag too.
        """
        return max(0, self.end - self.next_offset)

    @property
    def readable(self) -> int:
        """Those of them that can be read now: up to the first open transaction."""
        return max(0, self.stable_end - self.next_offset)

    @property
    def next_offset(self) -> int:
        """The next offset that the group reads."""
        return self.start if self.committed is None else max(self.committed, self.start)

    @property
    def place(self) -> tuple[str, str, int]:
        """Group, topic, partition."""
        return self.group, self.topic, self.partition

    def up_to(self, end: int) -> "GroupPosition":
        """As if the log ended there."""
        return self._replace(stable_end=min(self.stable_end, end), end=end)


def admin(kafka: KafkaConnection) -> AdminClient:
    """A client for topics and groups; it logs nothing when the broker is unavailable."""
    return AdminClient({**client_settings(kafka), "log_level": 0})


def partitions(client: AdminClient) -> dict[str, list[int]]:
    """Topic -> partitions, the broker's own topics left out. Raises TopicUnreadable."""
    try:
        metadata = client.list_topics(timeout=_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise TopicUnreadable(
            f"The broker does not answer: {error.args[0].str()}. Check that it is up."
        ) from error
    return {
        name: sorted(topic.partitions)
        for name, topic in sorted(metadata.topics.items())
        if not name.startswith("__")
    }


def ends(
    client: AdminClient, where: Iterable[tuple[str, int]], spec: str = "end"
) -> dict[tuple[str, int], int]:
    """Offset of each partition's `start`, `stable_end` or `end`. Raises TopicUnreadable."""
    offset_spec = OffsetSpec.earliest() if spec == "start" else OffsetSpec.latest()
    isolation = (
        IsolationLevel.READ_COMMITTED if spec == "stable_end" else IsolationLevel.READ_UNCOMMITTED
    )
    asked = {At(topic, partition): offset_spec for topic, partition in where}
    if not asked:
        return {}
    try:
        futures = client.list_offsets(
            asked, isolation_level=isolation, request_timeout=_TIMEOUT_SECONDS
        )
        return {(at.topic, at.partition): f.result().offset for at, f in futures.items()}
    except KafkaException as error:
        raise TopicUnreadable(f"Offsets cannot be read: {error.args[0].str()}.") from error


def committed(
    kafka: KafkaConnection, group: str, where: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Committed offsets of a group on these partitions; the group is asked, not joined.

    Raises TopicUnreadable. The admin client's question for the same crashes librdkafka 2.16
    (SIGSEGV) while the group's coordinator is loading; this one waits for it.
    """
    asked = [At(topic, partition) for topic, partition in where]
    if not asked:
        return {}
    consumer = Consumer({**consumer_settings(kafka, group), "log_level": 0})
    try:
        found = _committed(consumer, asked)
    except KafkaException as error:
        raise TopicUnreadable(
            f"Offsets of {group} cannot be read: {error.args[0].str()}."
        ) from error
    finally:
        consumer.close()
    for at in found:
        if at.error is not None:
            raise TopicUnreadable(
                f"The offset of {group} on {at.topic} cannot be read: {at.error.str()}."
            )
    return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}


def _committed(consumer: Consumer, asked: list[At]) -> list[At]:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            found: list[At] = consumer.committed(asked, timeout=_TIMEOUT_SECONDS)
            return found
        except KafkaException as error:
            if error.args[0].code() not in _COORDINATOR_MOVES or time.monotonic() > deadline:
                raise
        time.sleep(_AGAIN_SECONDS)


def subscribed(group: str) -> list[str]:
    """Topics that the catalogue says the group reads; followers of `merchants` commit nothing."""
    reader = group.removesuffix(_CALLS)
    return [t.name for t in TOPICS.values() if reader in t.readers and t.name != MERCHANTS]


def positions(kafka: KafkaConnection, groups: Iterable[str]) -> list[GroupPosition]:
    """Every group on every partition that it reads or has committed on. Raises TopicUnreadable."""
    client = admin(kafka)
    existing = partitions(client)
    everywhere = [(topic, p) for topic, numbers in existing.items() for p in numbers]
    at: dict[tuple[str, str, int], int | None] = {}
    for group in groups:
        for topic in subscribed(group):
            at.update({(group, topic, p): None for p in existing.get(topic, ())})
        done = committed(kafka, group, everywhere).items()
        at.update({(group, topic, p): offset for (topic, p), offset in done})
    where = {(topic, partition) for _, topic, partition in at}
    starts, stable, high = (ends(client, where, spec) for spec in ("start", "stable_end", "end"))
    return [
        GroupPosition(g, t, p, offset, starts[t, p], stable[t, p], high[t, p])
        for (g, t, p), offset in sorted(at.items())
    ]
