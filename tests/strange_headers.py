"""Records with header names that are no text: a broker takes them, but no library writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Builder


class RawName(str):
    """A header's name that goes out as these bytes."""

    raw: bytes

    def __new__(cls, raw: bytes) -> RawName:
        made = super().__new__(cls, raw.decode("latin-1"))
        made.raw = raw
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


def send_with_raw_header_names(
    broker: str,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[bytes, bytes | None]],
    partition: int | None = None,
) -> int:
    """Write one record; returns its offset."""

    async def send() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        try:
            named = [(RawName(name), text) for name, text in headers]
            written = await producer.send_and_wait(topic, value, key, partition, headers=named)
            return int(written.offset)
        finally:
            await producer.stop()

    with (
        patch("aiokafka.producer.producer.DefaultRecordBatchBuilder", Builder),
        patch("aiokafka.producer.message_accumulator.DefaultRecordBatchBuilder", Builder),
    ):
        return asyncio.run(send())
