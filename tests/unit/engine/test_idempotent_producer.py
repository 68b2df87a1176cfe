"""Sending outside of transactions, with a scripted client; the real one is in tests/stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mode import Service

import engine.transactions.idempotent_producer
from engine.broker.clients import ClientConfig
from engine.producer_record import ProducerRecord
from engine.settings import EngineSettings
from engine.transactions.idempotent_producer import IdempotentProducer


class Delivering:
    """Acknowledges each record when it is polled."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self._waiting: list[Callable[[Any, Any], None]] = []

    def produce(self, *args: Any, on_delivery: Any, headers: Any) -> None:
        self._waiting.append(on_delivery)

    def poll(self, seconds: float) -> None:
        while self._waiting:
            self._waiting.pop()(None, Delivered)

    def __len__(self) -> int:
        return len(self._waiting)


class Delivered:
    @staticmethod
    def offset() -> int:
        return 41


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> IdempotentProducer:
    monkeypatch.setattr(engine.transactions.idempotent_producer, "KafkaProducer", Delivering)
    return IdempotentProducer(ClientConfig("app", "3", "127.0.0.1:1", EngineSettings()))


async def test_a_record_is_sent_when_it_is_acknowledged(sender: IdempotentProducer) -> None:
    await asyncio.wait_for(sender.send(ProducerRecord("out", "k", b"v")), 5)
    await sender.close()


async def test_who_sends_while_the_worker_stops_is_cancelled(sender: IdempotentProducer) -> None:
    await sender.send(ProducerRecord("out", "k", b"v"))
    await sender.close()
    with pytest.raises(asyncio.CancelledError, match="stopping"):
        await sender.send(ProducerRecord("out", "k", b"v"))


async def test_a_timer_that_sends_too_late_does_not_crash_the_worker(
    sender: IdempotentProducer,
) -> None:
    """A worker that drains on SIGTERM must not exit with code 1."""
    await sender.close()
    service = Service()
    await service._execute_task(sender.send(ProducerRecord("out", "k", b"v")))
    assert not service.crashed
