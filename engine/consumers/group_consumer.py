"""The consumer group member of a `ParallelConsumer`; all of it runs in that consumer's thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from engine.broker.clients import ClientConfig
from engine.types import TopicPartition

log = logging.getLogger(__name__)
POLL_SECONDS = 0.05
RECORDS_PER_POLL = 500
COMMIT_MARGIN_SECONDS = 5.0


class RebalanceHandler(Protocol):
    """What happens when partitions come and go; called in the event loop."""

    grace_seconds: float

    async def on_partitions_revoked(
        self, sources: list[TopicPartition], grace_seconds: float
    ) -> dict[TopicPartition, int]:
        """Finish or drop the work on these partitions; returns the offsets to commit."""

    def on_partitions_assigned(self, sources: list[TopicPartition]) -> None:
        """This member owns these partitions from now on."""


class GroupConsumer:
    """Joins the group `<app>-calls` by itself (cooperative); commits explicitly."""

    def __init__(
        self,
        config: ClientConfig,
        topic: str,
        handler: RebalanceHandler,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        settings = config.parallel_consumer()
        if config.settings.static_membership:
            settings["group.instance.id"] = f"{config.transactional_id}-{topic}"
        self._handler = handler
        self._loop = loop
        self._paused = False
        self._client: Any = Consumer(settings)
        self._client.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def step(self, room: int, offsets: Mapping[TopicPartition, int]) -> tuple[list[Any], bool]:
        """Commit, then read at most `room` messages. (messages, did the commit succeed)"""
        committed = self._commit(offsets)
        self._pause(room <= 0)
        first = self._client.poll(POLL_SECONDS)
        if first is None:
            return [], committed
        found = [first]
        if room > 1:
            found += self._client.consume(min(room, RECORDS_PER_POLL) - 1, 0)
        return [message for message in found if _is_record(message)], committed

    def close(self) -> None:
        """Leave the group; `on_partitions_revoked` is called for what is still owned."""
        self._client.close()

    def _commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        if not offsets:
            return True
        wanted = [
            KafkaTopicPartition(topic, number, offset)
            for (topic, number), offset in offsets.items()
        ]
        try:
            answers = self._client.commit(offsets=wanted, asynchronous=False)
        except KafkaException as exc:
            log.warning("commit: %s; the records may be called again", exc)
            return False
        return all(answer.error is None for answer in answers or ())

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            assigned = self._client.assignment()
            if paused:
                self._client.pause(assigned)
            else:
                self._client.resume(assigned)
            self._paused = paused

    def _on_assign(self, client: Any, partitions: list[KafkaTopicPartition]) -> None:
        self._paused = False
        self._loop.call_soon_threadsafe(self._handler.on_partitions_assigned, _sources(partitions))

    def _on_revoke(self, client: Any, partitions: list[KafkaTopicPartition]) -> None:
        self._commit(self._release(partitions, self._handler.grace_seconds))

    def _on_lost(self, client: Any, partitions: list[KafkaTopicPartition]) -> None:
        self._release(partitions, 0.0)

    def _release(
        self, partitions: list[KafkaTopicPartition], grace_seconds: float
    ) -> dict[TopicPartition, int]:
        work = self._handler.on_partitions_revoked(_sources(partitions), grace_seconds)
        answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answer.result(grace_seconds + COMMIT_MARGIN_SECONDS)
        except TimeoutError:
            log.warning("%d revoked partitions were not released in time", len(partitions))
            return {}


def _sources(partitions: list[KafkaTopicPartition]) -> list[TopicPartition]:
    return [TopicPartition(partition.topic, partition.partition) for partition in partitions]


def _is_record(message: Any) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ):
        raise KafkaException(error)
    log.warning("parallel consumer: %s", error)
    return False
