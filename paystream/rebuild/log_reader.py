"""The sink's topics from the log's start to given ends, chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from engine import TopicPartition
from runtime.kafka import TopicUnreadable, client_settings, consumer_settings, partitions_of
from runtime.kafka_connection import KafkaConnection

CHUNK_RECORDS_MAX = 20_000
_POLL_SECONDS = 0.5
_SILENCE_SECONDS_MAX = 30.0
_ANSWER_SECONDS = 20.0


class LogReader:
    """Reads committed records only; `positions` says what comes next in each partition."""

    def __init__(self, kafka: KafkaConnection, topics: Sequence[str]) -> None:
        """Raises TopicUnreadable."""
        self._admin = AdminClient(client_settings(kafka))
        self._sources = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in partitions_of(kafka, topic)
        ]
        self.begins = self._offsets(OffsetSpec.earliest())
        self.positions = dict(self.begins)
        self._consumer = Consumer(
            {
                **consumer_settings(kafka, "paystream-reader"),
                "auto.offset.reset": "error",  # a log that is cut while it is read is no full log
                "enable.partition.eof": True,
            }
        )
        self._consumer.assign(
            [KafkaTopicPartition(*source, at) for source, at in self.positions.items()]
        )

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def ends(self) -> dict[TopicPartition, int]:
        """Where the committed part of each partition ends now. Raises TopicUnreadable."""
        return self._offsets(OffsetSpec.latest())

    def behind(self, ends: Mapping[TopicPartition, int]) -> int:
        """Offsets between the positions and these ends, transaction markers included."""
        return sum(max(0, end - self.positions[source]) for source, end in ends.items())

    def read_to(self, ends: Mapping[TopicPartition, int]) -> Iterator[list[Any]]:
        """Chunks of messages until every position has reached its end; it may run a little past.

        Raises TopicUnreadable.
        """
        heard = time.monotonic()
        while self.behind(ends):
            messages = self._consumer.consume(CHUNK_RECORDS_MAX, _POLL_SECONDS)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS_MAX:
                raise TopicUnreadable(
                    f"Kafka gave no record for {_SILENCE_SECONDS_MAX:.0f} s before the end was"
                    " reached. Check that the broker is up."
                )
            if chunk := [message for message in messages if self._is_record(message)]:
                yield chunk

    def _is_record(self, message: Any) -> bool:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            if error.retriable():
                return False
            raise TopicUnreadable(f"{message.topic()}: {error.str()}")
        source = TopicPartition(message.topic(), message.partition())
        offset = message.offset() + (error is None)
        self.positions[source] = max(self.positions[source], offset)
        return error is None

    def _offsets(self, which: OffsetSpec) -> dict[TopicPartition, int]:
        asked = self._admin.list_offsets(
            {KafkaTopicPartition(*source): which for source in self._sources},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_ANSWER_SECONDS,
        )
        try:
            return {
                TopicPartition(source.topic, source.partition): answer.result().offset
                for source, answer in asked.items()
            }
        except KafkaException as error:
            raise TopicUnreadable(
                f"Kafka does not say where its topics begin and end: {error.args[0].str()}"
            ) from error
