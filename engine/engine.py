"""The engine of one app: between Faust's group callbacks it runs an `Assignment`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engine.consumers.dead_letters import DeadLetterLimit
from engine.context import EngineContext
from engine.membership.assignment import Assignment
from engine.types import TopicPartition

log = logging.getLogger(__name__)


class Engine:
    """Called by Faust's group callbacks (`on_assigned`, `on_revoked`).

    `crash`: ends the app with an exception. `assignment` is None while the worker is outside of the
    group or between two generations.
    """

    def __init__(
        self, context: EngineContext, crash: Callable[[BaseException], Awaitable[None]]
    ) -> None:
        settings = context.config.settings
        self.context = context
        self.member_id = ""
        self.assignment: Assignment | None = None
        self._crash = crash
        self._limit = DeadLetterLimit(
            settings.dead_letter_window_records,
            settings.dead_letter_ratio_max,
            settings.consecutive_dead_letters_max,
        )
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def processing(self) -> bool:
        """Partitions are assigned, tables restored, records are processed."""
        return self.assignment is not None and self.assignment.processing

    def owns_topic(self, topic: str) -> bool:
        """Is it read by the engine, not by Faust?"""
        return topic in self.context.topics or self.changelog_partitions(topic) is not None

    def changelog_partitions(self, topic: str) -> int | None:
        """Number of partitions of a transactional table's changelog; None for other topics."""
        for table in self.context.tables:
            if table.changelog_topic_name == topic:
                return int(table.partitions)
        return None

    async def start(self) -> None:
        """Before the group is joined."""
        self.context.fetcher.open()

    async def stop(self) -> None:
        """Finish the current cycle, close the clients; bounded."""
        self._stopping = True
        await self.on_revoked()
        await self.context.producer.close()
        await self.context.fetcher.close()

    def on_assigned(self, assigned: Any, generation: int) -> None:
        """A new generation was joined with these partitions."""
        if self._stopping:
            return
        assert self._running is None, "assigned twice without a revocation"
        topics = self.context.topics
        sources = sorted(
            TopicPartition(tp.topic, tp.partition) for tp in assigned if tp.topic in topics
        )
        self.assignment = Assignment(self.context, sources, generation, self.member_id, self._limit)
        self._running = asyncio.create_task(self._run(self.assignment))

    async def on_revoked(self) -> None:
        """Finish or abandon the current cycle within `drain_seconds`, then own nothing."""
        running, self._running = self._running, None
        assignment = self.assignment
        if running is not None and assignment is not None:
            assignment.drain()
            limit = self.context.config.settings.drain_seconds
            done, _ = await asyncio.wait({running}, timeout=limit)
            if not done:
                log.warning(
                    "the cycle did not end within %.0f s (%s): abandoned", limit, assignment.phase
                )
                running.cancel()
                await asyncio.wait({running}, timeout=1.0)
        if assignment is not None:
            self._limit = assignment.dead_letter_limit
        self.assignment = None
        for table in self.context.tables:
            table.unassign()

    async def _run(self, assignment: Assignment) -> None:
        try:
            await assignment.run()
        except asyncio.CancelledError:
            return
        except Exception as exc:
            log.critical("the worker ends: %s", exc, exc_info=exc)
            await self._crash(exc)
