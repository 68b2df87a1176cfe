"""Reads batch topics ahead of the agents: one poll in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from engine.broker.blocking_calls import BlockingCallThread
from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.errors import CallTimedOut, LogTruncated, NonRetriableBrokerError
from engine.types import TopicPartition

log = logging.getLogger(__name__)
DISCARD_SECONDS = 5.0


class Fetcher:
    """Owns the consumer of the batch topics.

    A poll in progress is always finished or discarded before the positions change: a record must
    never be lost between two assignments.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._settings = config.settings
        self._thread = BlockingCallThread("engine-fetch")
        self._prefetch: asyncio.Task[list[Any]] | None = None
        self._remaining: list[Any] = []
        self._in_flight: list[Any] = []
        self._ends: dict[TopicPartition, int] = {}
        self.consumer: Any = None

    def open(self) -> None:
        """Create the consumer; it connects in the background."""
        self.consumer = Consumer(self._config.fetch_consumer())

    async def discard_prefetched(self) -> None:
        """Drop what was read ahead; afterwards no record of the old positions can appear."""
        ahead, self._prefetch, self._remaining, self._in_flight = self._prefetch, None, [], []
        if ahead is None:
            return
        try:
            await asyncio.wait_for(ahead, DISCARD_SECONDS)
        except (TimeoutError, CallTimedOut):
            log.warning("a poll hangs: replacing the fetch consumer")
            self.open()
        except (KafkaException, LogTruncated, NonRetriableBrokerError) as exc:
            log.warning("fetch: %s", exc)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Continue from these offsets. Call `discard_prefetched` before."""
        assert self._prefetch is None
        self._ends.clear()
        self.consumer.assign(
            [
                KafkaTopicPartition(topic, number, offset)
                for (topic, number), offset in positions.items()
            ]
        )

    async def fetch(self) -> list[Any]:
        """Messages of the next cycle, at most `batch_records_max` and about `batch_bytes_max`;
        often [].

        Reading of the following cycle has begun when this returns. Raises `LogTruncated` for an
        offset that is out of the log's range, `NonRetriableBrokerError` for a missing right.
        """
        if not self._remaining:
            if self._prefetch is None:
                self._prefetch = asyncio.create_task(self._poll_in_thread())
            self._remaining = await asyncio.shield(self._prefetch)
            self._prefetch = None
            # What was prefetched is as old as the cycle before. Without the newest records, those
            # would wait a cycle longer.
            self._remaining += self._drain_queue(self.consumer, len(self._remaining))
        messages, self._remaining = self._split_by_bytes(self._remaining)
        self._in_flight = messages
        if not self._remaining and self._prefetch is None:
            self._prefetch = asyncio.create_task(self._poll_in_thread())
        return messages

    def lag_by_partition(
        self, positions: Mapping[TopicPartition, int], *, ask_seconds: float | None = None
    ) -> dict[TopicPartition, int]:
        """Records not yet committed, in offsets, from the client's cache (no request).

        `ask_seconds`: ask the brokers, blocking, this long per partition; raises `KafkaException`.
        Transaction markers at the end are no lag.
        """
        lag, outstanding = {}, self._outstanding(positions)
        for source, offset in positions.items():
            _, high = self._watermarks(KafkaTopicPartition(*source), ask_seconds)
            if high >= 0:
                seen = 0 if source in outstanding else self._ends.get(source, 0)
                lag[TopicPartition(*source)] = max(0, high - max(offset, seen, 0))
        return lag

    def blocked_by_partition(
        self, positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Offsets that stand behind an open transaction: they cannot be read before it ends.

        From the client's cache. A writer that died leaves its transaction open until its time-out.
        """
        blocked, outstanding = {}, self._outstanding(positions)
        for source, offset in positions.items():
            readable_end = self._ends.get(source, -1)
            at_end = source not in outstanding and offset <= readable_end
            _, high = self._watermarks(KafkaTopicPartition(*source), None)
            blocked[TopicPartition(*source)] = max(0, high - readable_end) if at_end else 0
        return blocked

    def _outstanding(self, positions: Mapping[TopicPartition, int]) -> set[TopicPartition]:
        """Partitions with records that the client returned and that are not committed."""
        ahead = self._prefetch
        read = (
            ahead is not None and ahead.done() and not ahead.cancelled() and not ahead.exception()
        )
        messages = [*self._in_flight, *self._remaining, *(ahead.result() if ahead and read else ())]
        found = ((TopicPartition(m.topic(), m.partition()), m.offset()) for m in messages)
        return {source for source, offset in found if offset >= positions.get(source, offset + 1)}

    def _watermarks(self, source: Any, ask_seconds: float | None) -> tuple[int, int]:
        if ask_seconds is None:
            found = self.consumer.get_watermark_offsets(source, cached=True)
        else:
            found = self.consumer.get_watermark_offsets(source, timeout=ask_seconds)
        return int(found[0]), int(found[1])

    async def close(self) -> None:
        """Close the consumer, within a limit."""
        await self.discard_prefetched()
        if self.consumer is not None:
            try:
                await self._thread.call(DISCARD_SECONDS, self.consumer.close)
            except CallTimedOut as exc:
                log.warning("closing the fetch consumer: %s", exc)
        self._thread.abandon()

    async def _poll_in_thread(self) -> list[Any]:
        return await self._thread.call(self._settings.call_seconds_max, self._poll, self.consumer)

    def _poll(self, consumer: Any) -> list[Any]:
        """poll() for the first, then the queue: consume(n, t) waits for n or for the linger."""
        first = consumer.poll(self._settings.poll_seconds)
        if first is None:
            return []
        found = [first] if self._is_record(first) else []
        return found + self._drain_queue(consumer, 1, self._settings.batch_linger_seconds)

    def _drain_queue(self, consumer: Any, held: int, wait_seconds: float = 0.0) -> list[Any]:
        """What is in the client's queue, up to a batch with the `held`; blocks for the wait."""
        room = self._settings.batch_records_max - held
        found = consumer.consume(room, wait_seconds) if room > 0 else []
        return [message for message in found if self._is_record(message)]

    def _is_record(self, message: Any) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._ends[TopicPartition(message.topic(), message.partition())] = message.offset()
            return False
        _raise_if_out_of_range(message, error)
        raise_if_unauthorized(error, f"reading {message.topic()}[{message.partition()}]")
        log.warning("fetch: %s", error)
        return False

    def _split_by_bytes(self, messages: list[Any]) -> tuple[list[Any], list[Any]]:
        size = 0
        for index, message in enumerate(messages):
            size += len(message)
            if size > self._settings.batch_bytes_max and index:
                return messages[:index], messages[index:]
        return messages, []


def _raise_if_out_of_range(message: Any, error: Any) -> None:
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise LogTruncated(
            f"{message.topic()}[{message.partition()}]: the committed offset is out of the log's "
            f"range ({error}). The topic's retention was shorter than the time this app was down, "
            "or the topic was created again. If that is acceptable, reset the group's offsets and "
            "start once with allow_offset_rewind=True."
        )
