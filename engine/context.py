"""What the engine's parts share: built once by the app, never replaced."""

from __future__ import annotations

from typing import NamedTuple

from engine.broker.clients import ClientConfig
from engine.consumers.dead_letters import DeadLetters
from engine.consumers.fetcher import Fetcher
from engine.state.table import TransactionalTable
from engine.stats import EngineStats
from engine.topic import BatchTopic
from engine.transactions.producer import TransactionalProducer


class EngineContext(NamedTuple):
    """The parts of one worker's engine. Topics and tables are added until the app starts."""

    config: ClientConfig
    topics: dict[str, BatchTopic]
    tables: list[TransactionalTable]
    fetcher: Fetcher
    producer: TransactionalProducer
    dead_letters: DeadLetters | None
    stats: EngineStats

    @classmethod
    def of(cls, config: ClientConfig, dead_letters: DeadLetters | None) -> EngineContext:
        """With clients that are not connected yet, and no topics or tables."""
        fetcher, producer = Fetcher(config), TransactionalProducer(config)
        return cls(config, {}, [], fetcher, producer, dead_letters, EngineStats())
