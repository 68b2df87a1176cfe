"""Records to Kafka: each send ends when the broker acknowledged it, or says that it did not."""

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.kafka import not_acknowledged

_POLL_SECONDS = 0.1
_Report = tuple["asyncio.Future[None]", KafkaError | None]


class TooManyOutstanding(Exception):
    """The bound on unacknowledged records is reached; nothing was sent."""


class NotAcknowledged(Exception):
    """The broker did not acknowledge in time: the record may or may not be in the topic."""


class CommandProducer:
    """An idempotent producer (acks=all) for one event loop.

    One thread only polls. It collects delivery reports and hands each collection to the loop by a
    single `call_soon_threadsafe`, which keeps the cost of waking the loop off the single record.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        outstanding_records_max: int,
        acknowledge_seconds_max: float = float("inf"),
    ) -> None:
        self._outstanding_records_max = outstanding_records_max
        self._acknowledge_seconds_max = acknowledge_seconds_max
        self._outstanding_records = 0
        self._reports: list[_Report] = []
        self._fatal: str | None = None
        self._stopping = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._producer = Producer({**configuration, "error_cb": self._on_error})
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._thread.start()

    @property
    def outstanding_records(self) -> int:
        """Records sent and not yet acknowledged."""
        return self._outstanding_records

    @property
    def fatal(self) -> str | None:
        """Why this producer can never send again; the process must be restarted."""
        return self._fatal

    async def send(
        self, topic: str, *, key: str, value: bytes, headers: Mapping[str, bytes]
    ) -> None:
        """Returns when all in-sync replicas have the record.

        Raises TooManyOutstanding (nothing sent) or NotAcknowledged (send the same again). A record
        that was given up may still arrive, at most after `delivery.timeout.ms`: its id makes that
        harmless.
        """
        if self._outstanding_records >= self._outstanding_records_max:
            raise TooManyOutstanding(f"{self._outstanding_records} records are unacknowledged.")
        acknowledged: asyncio.Future[None] = self._loop.create_future()
        try:
            self._producer.produce(
                topic,
                value,
                key.encode(),
                headers=list(headers.items()),
                on_delivery=partial(self._delivered, acknowledged),
            )
        except BufferError:
            raise TooManyOutstanding("The producer's buffer is full.") from None
        except KafkaException as error:
            raise NotAcknowledged(str(error)) from error
        self._outstanding_records += 1
        try:
            async with asyncio.timeout(self._acknowledge_seconds_max):
                await acknowledged
        except TimeoutError:
            raise NotAcknowledged(
                f"No acknowledgement within {self._acknowledge_seconds_max:g} s."
            ) from None

    async def stop(self, timeout_seconds: float) -> int:
        """Wait for acknowledgements, at most this long; returns how many records are left."""
        left = await asyncio.to_thread(self._producer.flush, timeout_seconds)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2 * _POLL_SECONDS)
        return int(left)

    def _delivered(
        self, acknowledged: "asyncio.Future[None]", error: KafkaError | None, message: Message
    ) -> None:
        self._reports.append((acknowledged, not_acknowledged(error, message)))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_SECONDS)
            self._hand_over()
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._reports:
            return
        reports, self._reports = self._reports, []
        try:
            self._loop.call_soon_threadsafe(self._complete, reports)
        except RuntimeError:
            self._stopping.set()  # the loop is closed: nobody waits any more

    def _complete(self, reports: list[_Report]) -> None:
        self._outstanding_records -= len(reports)
        for acknowledged, error in reports:
            if acknowledged.done():
                continue
            if error is None:
                acknowledged.set_result(None)
            else:
                acknowledged.set_exception(NotAcknowledged(error.str()))
