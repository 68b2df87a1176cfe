"""Lag at the end of a log of transactions: their markers take offsets and are no records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from engine.broker.clients import ClientConfig
from engine.consumers.fetcher import Fetcher
from engine.settings import EngineSettings

pytestmark = pytest.mark.services

RECORDS = 5
WAIT_SECONDS = 30.0


@pytest.fixture
def topic(kafka_broker: str, new_topic: Callable[..., str]) -> str:
    """A topic that ends with a record and its marker."""
    topic = new_topic("lag")
    producer = Producer({"bootstrap.servers": kafka_broker, "transactional.id": topic})
    producer.init_transactions(WAIT_SECONDS)
    for _ in range(RECORDS):
        producer.begin_transaction()
        producer.produce(topic, b"{}")
        producer.commit_transaction(WAIT_SECONDS)
    return topic


async def read(fetcher: Fetcher, left: int) -> list[int]:
    """Offsets of one batch with what is left; the end is seen by the poll ahead of the next."""
    messages = await fetcher.fetch()
    while len(messages) < left:
        messages = await fetcher.fetch()
    await fetcher._prefetch
    while not fetcher._ends:
        assert await fetcher._poll_in_thread() == []
    return [message.offset() for message in messages]


@pytest.mark.parametrize("left", [0, 1, RECORDS])
async def test_markers_are_no_lag_and_records_in_hand_are(
    kafka_broker: str, topic: str, left: int
) -> None:
    """`left` records were not committed; the worker began before them, as after a restart."""
    fetcher = Fetcher(ClientConfig("lag", "0", kafka_broker, EngineSettings()))
    fetcher.open()
    first = 2 * (RECORDS - left) - (1 if left == 0 else 0)  # after the last record: its marker
    fetcher.assign({(topic, 0): first})
    offsets = await asyncio.wait_for(read(fetcher, left), WAIT_SECONDS)
    assert offsets == list(range(first, 2 * RECORDS, 2))[:left]
    place = (topic, 0)
    asked = fetcher.lag_by_partition({(topic, 0): first}, ask_seconds=5.0)
    assert asked == {place: 2 * RECORDS - first if left else 0}
    done = {(topic, 0): 2 * RECORDS - 1}
    assert fetcher.lag_by_partition(done, ask_seconds=5.0) == {place: 0}
    await fetcher.close()
