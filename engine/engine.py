"""The engine of one app: its parts, and who owns the partitions now."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from engine.broker.clients import ClientConfig
from engine.consumers.dead_letters import DeadLetterLimit, DeadLetters
from engine.consumers.fetcher import Fetcher
from engine.consumers.poll_batch import PollBatch
from engine.membership.assignment import Assignment
from engine.state.table import TransactionalTable
from engine.stats import EngineStats
from engine.topic import BatchTopic
from engine.transactions.producer import TransactionalProducer
from engine.transactions.transaction import SourcePartition

log = logging.getLogger(__name__)


class Engine:
    """Called by Faust's group callbacks (`on_assigned`, `on_revoked`); runs an `Assignment` between
    them.
    """

    def __init__(self, app: Any, config: ClientConfig, dead_letters: DeadLetters | None) -> None:
        settings = config.settings
        self.app = app
        self.config = config
        self.topics: dict[str, BatchTopic] = {}
        self.tables: list[TransactionalTable] = []
        self.dead_letters = dead_letters
        self.fuse = DeadLetterLimit(
            settings.dead_letter_window_records,
            settings.dead_letter_ratio_max,
            settings.consecutive_dead_letters_max,
        )
        self.producer = TransactionalProducer(config)
        self.fetcher = Fetcher(config)
        self.stats = EngineStats()
        self.member_id = ""
        self.record_times: dict[SourcePartition, int] = {}
        self.ownership: Assignment | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def group_instance_id(self) -> str | None:
        """Static membership: one per instance id."""
        return self.config.transactional_id if self.config.settings.static_membership else None

    @property
    def flowing(self) -> bool:
        """Partitions assigned, tables restored, cycles run."""
        return self.ownership is not None and self.ownership.flowing

    def owns_topic(self, topic: str) -> bool:
        """Is it read by the engine, not by Faust?"""
        return topic in self.topics or self.changelog_partitions(topic) is not None

    def changelog_partitions(self, topic: str) -> int | None:
        """Number of partitions of a transactional table's changelog; None for other topics."""
        for table in self.tables:
            if table.changelog_topic_name == topic:
                return int(table.partitions)
        return None

    def new_cycle(self, messages: list[Any]) -> PollBatch:
        """For the messages of one poll."""
        return PollBatch(
            self.config.settings,
            self.topics,
            self.tables,
            self.dead_letters,
            messages,
            self.record_times,
        )

    async def start(self) -> None:
        """Before the group is joined."""
        self.fetcher.open()

    async def stop(self) -> None:
        """End the cycle in hand, let the clients go; bounded."""
        self._stopping = True
        await self.on_revoked()
        await self.producer.close()
        await self.fetcher.close()

    def on_assigned(self, assigned: Any, generation: int) -> None:
        """A new generation was joined with these partitions."""
        if self._stopping:
            return
        assert self._running is None, "assigned twice without a revocation"
        sources = sorted((tp.topic, tp.partition) for tp in assigned if tp.topic in self.topics)
        self.ownership = Assignment(self, sources, generation, self.member_id)
        self._running = asyncio.create_task(self._run(self.ownership))

    async def on_revoked(self) -> None:
        """Finish or abandon the cycle in hand within `drain_seconds`, then own nothing."""
        running, self._running = self._running, None
        if running is not None and self.ownership is not None:
            self.ownership.drain()
            done, _ = await asyncio.wait({running}, timeout=self.config.settings.drain_seconds)
            if not done:
                log.warning(
                    "the cycle did not end within %.0f s (%s): abandoned",
                    self.config.settings.drain_seconds,
                    self.ownership.step,
                )
                running.cancel()
                await asyncio.wait({running}, timeout=1.0)
        self.ownership = None
        for table in self.tables:
            table.disown()

    async def _run(self, ownership: Assignment) -> None:
        try:
            await ownership.run()
        except asyncio.CancelledError:
            return
        except Exception as exc:
            log.critical("the worker ends: %s", exc, exc_info=exc)
            await self.app.crash(exc)
