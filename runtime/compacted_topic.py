"""A compacted topic, followed from its start for ever: each record is given to a function.

The reader is a thread. A record that the function cannot take is skipped, logged and counted. The
thread starts again after an exception; one that fails too often in a row ends its process, so that
nobody reads a copy that stands still.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime import log
from runtime.backoff import Backoff
from runtime.kafka import client_settings, consumer_settings
from runtime.kafka_connection import KafkaConnection
from runtime.telemetry import counter
from schemas.codec import UndecodableRecord

Apply = Callable[[bytes, bytes | None], None]
"""Takes a key and a value (None: the key is gone); any exception means a record to skip."""
LOGGER = "runtime.compacted_topic"


class FollowLimits(NamedTuple):
    """Bounds of one follower."""

    poll_seconds: float = 0.1
    poll_records_max: int = 1_000
    contact_seconds: float = 1.0
    """How often the broker is asked where the topic ends and how many partitions it has."""
    answer_seconds_max: float = 10.0
    failures_max: int = 8
    """Exceptions in a row, after which the process ends."""
    first_pause_seconds: float = 0.2
    pause_seconds_max: float = 5.0


_LIMITS = FollowLimits()


def end_process(reason: str) -> None:
    """End this process at once: what it knows may be old, and a thread cannot raise to it."""
    log.get(LOGGER).critical("process_ends", reason=reason)
    os._exit(1)


class CompactedTopic:
    """Follows from `start` to `stop`; `apply` is called from its thread, in order per partition."""

    def __init__(
        self,
        kafka: KafkaConnection,
        topic: str,
        name: str,
        apply: Apply,
        limits: FollowLimits = _LIMITS,
        give_up: Callable[[str], None] = end_process,
    ) -> None:
        self._kafka, self._topic, self._name = kafka, topic, name
        self._apply, self._limits, self._give_up = apply, limits, give_up
        self._progress = threading.Condition()
        self._read_to: dict[int, int] = {}
        self._unread: set[int] = set()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._contact_at: float | None = None
        self._admin: AdminClient | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._log = log.get(LOGGER).bind(topic=topic)

    def start(self) -> None:
        """Begin to follow the topic, also one that is not there yet."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(self._limits.answer_seconds_max + self._limits.pause_seconds_max)

    @property
    def ready(self) -> bool:
        """The whole topic was read once."""
        return self._ready.is_set()

    @property
    def age_seconds(self) -> float:
        """How long ago the broker last said where the topic ends; infinite before it did."""
        at = self._contact_at
        return float("inf") if at is None else time.monotonic() - at

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Whether the whole topic was read within the time."""
        return self._ready.wait(timeout_seconds)

    def refresh(self, timeout_seconds: float) -> bool:
        """Whether all that was committed when this was called has been applied within the time.

        A transaction that is open at the topic's end is waited for: what was committed behind it
        cannot be read before it ends.
        """
        until = time.monotonic() + timeout_seconds
        if not self.wait_ready(timeout_seconds):
            return False
        try:
            ends = self._ends(until)
        except (KafkaException, TimeoutError) as error:
            self._log.warning("topic_end_unknown", error=str(error))
            with self._progress:
                self._admin = None  # an old client may keep the epoch of a leader that restarted
            return False

        def applied() -> bool:
            return all(self._read_to.get(number, 0) >= end for number, end in ends.items())

        with self._progress:
            return self._progress.wait_for(applied, max(0.0, until - time.monotonic()))

    def _ends(self, until: float) -> dict[int, int]:
        """Partition -> its end, behind open transactions too."""
        with self._progress:
            if self._admin is None:
                self._admin = AdminClient(client_settings(self._kafka))
            wanted = {TopicPartition(self._topic, n): OffsetSpec.latest() for n in self._read_to}
        asked = self._admin.list_offsets(
            wanted,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self._limits.answer_seconds_max,
        )
        return {
            source.partition: future.result(max(0.0, until - time.monotonic())).offset
            for source, future in asked.items()
        }

    def _run(self) -> None:
        backoff = Backoff(self._limits.first_pause_seconds, self._limits.pause_seconds_max)
        failures, contact_at = 0, self._contact_at
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception as error:
                if self._contact_at != contact_at:  # it worked in between
                    failures, contact_at = 0, self._contact_at
                    backoff.reset()
                failures += 1
                counter("paystream_thread_failures_total").labels(self._name).inc()
                self._log.error("follower_failed", failures=failures, error=repr(error))
                if failures >= self._limits.failures_max:
                    self._give_up(
                        f"The reader of {self._topic} failed {failures} times in a row: {error!r}."
                        " What this process knows of the topic is old. Restart it, and report the"
                        " error if it stays."
                    )
                    return
                self._stopping.wait(backoff.next_seconds())

    def _follow(self) -> None:
        settings = consumer_settings(self._kafka, self._name) | {"enable.partition.eof": True}
        consumer = Consumer(settings)
        try:
            assigned: set[int] = set()
            while not self._stopping.is_set():
                if self.age_seconds >= self._limits.contact_seconds:
                    assigned = self._follow_partitions(consumer, assigned)
                self._poll(consumer)
        finally:
            consumer.close()

    def _follow_partitions(self, consumer: Consumer, assigned: set[int]) -> set[int]:
        """Ask which partitions there are; new ones are read too. Each pause has its bound."""
        try:
            seconds = self._limits.answer_seconds_max
            topic = consumer.list_topics(self._topic, timeout=seconds).topics[self._topic]
            if topic.error is not None:
                raise KafkaException(topic.error)
        except KafkaException as error:
            self._log.warning("topic_does_not_answer", error=str(error))
            self._stopping.wait(0 if assigned else self._limits.contact_seconds)
            return assigned
        numbers = set(topic.partitions)
        if numbers != assigned:
            self._log.info("partitions_followed", count=len(numbers), before=len(assigned))
            self._unread |= numbers - self._read_to.keys()
            with self._progress:
                self._read_to = {number: self._read_to.get(number, 0) for number in numbers}
            consumer.assign([TopicPartition(self._topic, n, at) for n, at in self._read_to.items()])
        if all(partition.leader >= 0 for partition in topic.partitions.values()):
            self._contact_at = time.monotonic()
        return numbers

    def _poll(self, consumer: Consumer) -> None:
        """One record as soon as there is one, and with it all that have come."""
        first = consumer.poll(self._limits.poll_seconds)
        if first is None:
            return
        for message in (first, *consumer.consume(self._limits.poll_records_max, 0)):
            error = message.error()
            if error is None:
                self._take(message)
                self._read_to[message.partition()] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._read_to[message.partition()] = message.offset()
                self._unread.discard(message.partition())
            elif error.fatal():
                raise KafkaException(error)
            else:
                self._log.warning("topic_unreadable_for_now", error=error.str())
        if not self._unread:
            self._ready.set()
        with self._progress:
            self._progress.notify_all()

    def _take(self, message: Any) -> None:
        key, value = message.key(), message.value()
        try:
            if key is None:
                raise UndecodableRecord("A record of a compacted topic has no key.")
            self._apply(key, value)
        except Exception as error:
            reason = "undecodable" if isinstance(error, UndecodableRecord) else "not_applied"
            counter("paystream_skipped_records_total").labels(self._topic, reason).inc()
            self._log.error(
                "record_skipped",
                partition=message.partition(),
                offset=message.offset(),
                error=repr(error),
            )
