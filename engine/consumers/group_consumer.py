"""The consumer group member of an external lane; all of it runs in the lane's thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from engine.broker.clients import ClientConfig
from engine.transactions.transaction import SourcePartition

log = logging.getLogger(__name__)
POLL_SECONDS = 0.05
RECORDS_PER_POLL = 500
COMMIT_MARGIN_SECONDS = 5.0


class LaneOwner(Protocol):
    """What the consumer asks of the lane; called through the event loop."""

    grace_seconds: float

    async def let_go(
        self, sources: list[SourcePartition], grace_seconds: float
    ) -> dict[SourcePartition, int]:
        """Finish or drop the work on these partitions; offsets to commit."""

    def took_over(self, sources: list[SourcePartition]) -> None:
        """These partitions are ours from now on."""


class LaneConsumer:
    """Joins `<app>-lane` by itself (cooperative); commits by hand."""

    def __init__(
        self, config: ClientConfig, topic: str, owner: LaneOwner, loop: asyncio.AbstractEventLoop
    ) -> None:
        settings = config.lane_consumer()
        if config.settings.static_membership:
            settings["group.instance.id"] = f"{config.transactional_id}-{topic}"
        self._owner = owner
        self._loop = loop
        self._paused = False
        self._client: Any = Consumer(settings)
        self._client.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def step(self, room: int, offsets: Mapping[SourcePartition, int]) -> tuple[list[Any], bool]:
        """Commit, then take at most `room` messages. (messages, did the commit succeed)"""
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
        """Leave; `let_go` is called for what is still ours."""
        self._client.close()

    def _commit(self, offsets: Mapping[SourcePartition, int]) -> bool:
        if not offsets:
            return True
        wanted = [
            TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()
        ]
        try:
            answers = self._client.commit(offsets=wanted, asynchronous=False)
        except KafkaException as exc:
            log.warning("lane commit: %s; the records may come again", exc)
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

    def _on_assign(self, client: Any, partitions: list[TopicPartition]) -> None:
        self._paused = False
        self._loop.call_soon_threadsafe(self._owner.took_over, _sources(partitions))

    def _on_revoke(self, client: Any, partitions: list[TopicPartition]) -> None:
        self._commit(self._let_go(partitions, self._owner.grace_seconds))

    def _on_lost(self, client: Any, partitions: list[TopicPartition]) -> None:
        self._let_go(partitions, 0.0)

    def _let_go(
        self, partitions: list[TopicPartition], grace_seconds: float
    ) -> dict[SourcePartition, int]:
        work = self._owner.let_go(_sources(partitions), grace_seconds)
        answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answer.result(grace_seconds + COMMIT_MARGIN_SECONDS)
        except TimeoutError:
            log.warning("the lane did not let go of %d partitions in time", len(partitions))
            return {}


def _sources(partitions: list[TopicPartition]) -> list[SourcePartition]:
    return [(partition.topic, partition.partition) for partition in partitions]


def _is_record(message: Any) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ):
        raise KafkaException(error)
    log.warning("lane: %s", error)
    return False
