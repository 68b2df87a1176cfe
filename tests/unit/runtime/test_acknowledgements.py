"""A delivery report is believed only if the broker itself gave the record an offset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from engine.broker import acknowledgement as engine_acknowledgement
from engine.broker.clients import ClientConfig
from engine.producer_record import ProducerRecord
from engine.settings import EngineSettings
from engine.transactions import idempotent_producer as engine_sender
from engine.transactions.idempotent_producer import SENDS_MAX, IdempotentProducer
from ingest_api.commands import producer as api_producer
from ingest_api.commands.producer import CommandProducer, NotAcknowledged
from runtime import kafka as runtime_kafka


class Report:
    """What a delivery report is about."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


class Client:
    """A producer whose records are delivered at these offsets; None: by a later record alone."""

    offsets: list[int | None]

    def __init__(self, settings: Any) -> None:
        self.sent = 0
        self.waiting: list[Any] = []

    def produce(self, *args: Any, on_delivery: Any, headers: Any = None) -> None:
        self.waiting.append((on_delivery, Report(self.offsets[self.sent])))
        self.sent += 1

    def poll(self, seconds: float) -> None:
        waiting, self.waiting = self.waiting, []
        for report, message in waiting:
            report(None, message)

    def flush(self, seconds: float) -> int:
        return 0

    def __len__(self) -> int:
        return len(self.waiting)


@pytest.mark.parametrize(
    "not_acknowledged",
    [runtime_kafka.not_acknowledged, engine_acknowledgement.not_acknowledged],
    ids=["runtime", "engine"],
)
def test_only_an_offset_is_an_acknowledgement(not_acknowledged: Callable[..., Any]) -> None:
    """The rule stands twice, because the engine imports nothing of ours."""
    assert not_acknowledged(None, Report(0)) is None
    failed = KafkaError(KafkaError._MSG_TIMED_OUT)
    assert not_acknowledged(failed, Report(None)) is failed
    for offset in (None, -1001):
        found = not_acknowledged(None, Report(offset))
        assert found is not None
        assert found.code() == KafkaError._STATE


async def test_the_api_does_not_acknowledge_what_only_a_later_record_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Client, "offsets", [None, 7], raising=False)
    monkeypatch.setattr(api_producer, "Producer", Client)
    producer = CommandProducer({}, 10)
    with pytest.raises(NotAcknowledged, match="not this one"):
        await producer.send("t", key="k", value=b"", headers={})
    await producer.send("t", key="k", value=b"", headers={})
    await producer.stop(1.0)


@pytest.mark.parametrize(("offsets", "sent"), [([3], 1), ([None, None, 3], SENDS_MAX)])
async def test_the_engine_sends_such_a_record_again(
    monkeypatch: pytest.MonkeyPatch, offsets: list[int | None], sent: int
) -> None:
    monkeypatch.setattr(Client, "offsets", offsets, raising=False)
    monkeypatch.setattr(engine_sender, "KafkaProducer", Client)
    sender = IdempotentProducer(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    await asyncio.wait_for(sender.send(ProducerRecord("t", "k", b"", {}, None)), 10)
    assert sender._client.sent == sent
    await sender.close()


async def test_the_engine_does_not_send_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "offsets", [None] * SENDS_MAX, raising=False)
    monkeypatch.setattr(engine_sender, "KafkaProducer", Client)
    sender = IdempotentProducer(ClientConfig("app", "0", "127.0.0.1:1", EngineSettings()))
    with pytest.raises(KafkaException):
        await asyncio.wait_for(sender.send(ProducerRecord("t", "k", b"", {}, None)), 10)
    await sender.close()
