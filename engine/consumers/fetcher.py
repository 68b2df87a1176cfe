"""Reading batch topics ahead of the agents: one poll in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from engine.broker.blocking_calls import BlockingCallThread
from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.errors import CallTimedOut, LogTruncated, NonRetriableBrokerError
from engine.transactions.transaction import SourcePartition

log = logging.getLogger(__name__)
SETTLE_SECONDS = 5.0


class Fetcher:
    """Owns the consumer of the batch topics. A poll that was begun is always taken or dropped
    before the positions change: a record must never be lost between two assignments.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._settings = config.settings
        self._thread = BlockingCallThread("engine-fetch")
        self._ahead: asyncio.Task[list[Any]] | None = None
        self._rest: list[Any] = []
        self._given: list[Any] = []
        self._ends: dict[SourcePartition, int] = {}
        self.consumer: Any = None

    def open(self) -> None:
        """Make the consumer; it connects in the background."""
        self.consumer = Consumer(self._config.fetch_consumer())

    async def settle(self) -> None:
        """Drop what was read ahead; after it nothing of the old positions can appear."""
        ahead, self._ahead, self._rest, self._given = self._ahead, None, [], []
        if ahead is None:
            return
        try:
            await asyncio.wait_for(ahead, SETTLE_SECONDS)
        except (TimeoutError, CallTimedOut):
            log.warning("a poll hangs: replacing the fetch consumer")
            self.open()
        except (KafkaException, LogTruncated, NonRetriableBrokerError) as exc:
            log.warning("fetch: %s", exc)

    def assign(self, positions: Mapping[SourcePartition, int]) -> None:
        """Go on from these offsets. Call `settle` before."""
        assert self._ahead is None
        self._ends.clear()
        self.consumer.assign(
            [TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
        )

    async def fetch(self) -> list[Any]:
        """Messages of the next cycle, at most `batch_records_max` and about `batch_bytes_max`; []
        at times.

        Reading of the following cycle has begun when this returns. Raises `LogTruncated` for an
        offset that is out of the log's range, `NonRetriableBrokerError` for a missing right.
        """
        if not self._rest:
            if self._ahead is None:
                self._ahead = asyncio.create_task(self._poll_in_thread())
            self._rest = await asyncio.shield(self._ahead)
            self._ahead = None
            # What was read ahead is as old as the cycle before: without the newest records those
            # would wait a cycle longer.
            self._rest += self._arrived(self.consumer, len(self._rest))
        messages, self._rest = self._cut(self._rest)
        self._given = messages
        if not self._rest and self._ahead is None:
            self._ahead = asyncio.create_task(self._poll_in_thread())
        return messages

    def lag_by_partition(
        self, positions: Mapping[SourcePartition, int], *, ask_seconds: float | None = None
    ) -> dict[str, int]:
        """Offsets with records not yet committed, from the client's cache (no request).

        `ask_seconds`: ask the brokers, blocking, this long per partition; raises `KafkaException`.
        "topic[partition]" -> count. Markers of transactions at the end are no lag.
        """
        lag, outstanding = {}, self._outstanding(positions)
        for place, offset in positions.items():
            _, high = self._watermarks(TopicPartition(*place), ask_seconds)
            if high >= 0:
                seen = 0 if place in outstanding else self._ends.get(place, 0)
                lag[f"{place[0]}[{place[1]}]"] = max(0, high - max(offset, seen, 0))
        return lag

    def _outstanding(self, positions: Mapping[SourcePartition, int]) -> set[SourcePartition]:
        """Partitions with records that the client gave and that are not committed."""
        ahead = self._ahead
        read = (
            ahead is not None and ahead.done() and not ahead.cancelled() and not ahead.exception()
        )
        messages = [*self._given, *self._rest, *(ahead.result() if ahead and read else ())]
        places = ((message.topic(), message.partition(), message.offset()) for message in messages)
        return {
            (topic, number)
            for topic, number, offset in places
            if offset >= positions.get((topic, number), offset + 1)
        }

    def _watermarks(self, place: Any, ask_seconds: float | None) -> tuple[int, int]:
        if ask_seconds is None:
            found = self.consumer.get_watermark_offsets(place, cached=True)
        else:
            found = self.consumer.get_watermark_offsets(place, timeout=ask_seconds)
        return int(found[0]), int(found[1])

    async def close(self) -> None:
        """Bounded."""
        await self.settle()
        if self.consumer is not None:
            try:
                await self._thread.call(SETTLE_SECONDS, self.consumer.close)
            except CallTimedOut as exc:
                log.warning("closing the fetch consumer: %s", exc)
        self._thread.abandon()

    async def _poll_in_thread(self) -> list[Any]:
        return await self._thread.call(self._settings.call_seconds_max, self._poll, self.consumer)

    def _poll(self, consumer: Any) -> list[Any]:
        """poll() for the first, then what is there: consume(n, t) waits for n or for the linger."""
        first = consumer.poll(self._settings.poll_seconds)
        if first is None:
            return []
        found = [first] if self._is_record(first) else []
        return found + self._arrived(consumer, 1, self._settings.batch_linger_seconds)

    def _arrived(self, consumer: Any, held: int, wait_seconds: float = 0.0) -> list[Any]:
        """What waits in the client's queue, with the `held` up to a batch; blocks for the wait."""
        room = self._settings.batch_records_max - held
        found = consumer.consume(room, wait_seconds) if room > 0 else []
        return [message for message in found if self._is_record(message)]

    def _is_record(self, message: Any) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._ends[message.topic(), message.partition()] = message.offset()
            return False
        _raise_if_out_of_range(message, error)
        raise_if_unauthorized(error, f"reading {message.topic()}[{message.partition()}]")
        log.warning("fetch: %s", error)
        return False

    def _cut(self, messages: list[Any]) -> tuple[list[Any], list[Any]]:
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
            f"range ({error}); retention was shorter than the time this app was down, or the topic "
            "was made anew. "
            "Reset the group's offsets on purpose and start with allow_offset_rewind=True"
        )
