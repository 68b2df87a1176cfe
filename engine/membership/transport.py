"""Faust's aiokafka driver as the group member only: the engine's partitions are never fetched by
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka.partitioner import murmur2
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from engine.membership import library_internals
from engine.membership.instance_id import exit_if_instance_id_in_use
from engine.state.table import TransactionalTable

SCHEME = "engine"
TRANSPORTS.aliases[SCHEME] = "engine.membership.transport:Transport"


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Runs in aiokafka's thread."""

    def on_partitions_revoked(self, revoked: Any) -> Any:
        """Before the group is joined again."""
        return self._revoked(super().on_partitions_revoked(revoked))

    async def _revoked(self, work: Any) -> None:
        engine = self._thread.app.engine
        unknown = engine.member_id and not library_internals.member_id(self._thread)
        if unknown and engine.context.config.group_instance_id is not None:
            config = engine.context.config
            await asyncio.to_thread(exit_if_instance_id_in_use, config, engine.member_id)
        await work

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Pause the engine's partitions before aiokafka's first fetch; remember the member id."""
        engine = self._thread.app.engine
        owned = [tp for tp in assigned if engine.owns_topic(tp.topic)]
        if owned:
            library_internals.pause_in_client(self._thread, owned)
        engine.member_id = library_internals.member_id(self._thread)
        await super().on_partitions_assigned(assigned)


class Consumer(driver.Consumer):
    """Calls the engine before Faust's own part of a revocation, and after that of an assignment."""

    RebalanceListener = RebalanceListener

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.app.engine.on_revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        await super().on_partitions_assigned(assigned, generation_id)
        self.app.engine.on_assigned(assigned, generation_id)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """An app with parallel consumers only joins no group: go on with no partitions."""
        wanted = set(topics)
        if wanted:
            await super().subscribe(wanted)
            return
        self.app.on_rebalance_start()
        await self.on_partitions_assigned(set(), self.app.consumer_generation_id)

    def _set_active_tps(self, tps: set[TP]) -> set[TP]:
        active: set[TP] = super()._set_active_tps(tps)
        active.difference_update([tp for tp in active if self.app.engine.owns_topic(tp.topic)])
        return active

    def resume_partitions(self, tps: Any) -> None:
        super().resume_partitions({tp for tp in tps if not self.app.engine.owns_topic(tp.topic)})

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector knows nothing of what the engine reads."""
        if not self.app.engine.owns_topic(tp.topic):
            super().verify_event_path(now, tp)


class Producer(driver.Producer):
    """For Faust's ordinary topics, and for its router's questions about the engine's topics."""

    async def create_topic(self, topic: str, *args: Any, **options: Any) -> None:
        """`Topology` created the engine's topics; Faust would ask one broker, which may be away."""
        if not self.app.engine.owns_topic(topic):
            await super().create_topic(topic, *args, **options)

    def key_partition(self, topic: str, key: bytes) -> TP:
        """aiokafka's producer has no metadata of changelogs that it never wrote."""
        partitions = self.app.engine.changelog_partitions(topic)
        if partitions is None:
            return super().key_partition(topic, key)
        return TP(topic, (murmur2(key) & 0x7FFFFFFF) % partitions)


class Transport(driver.Transport):
    """Scheme `engine://host:port`."""

    Consumer = Consumer
    Producer = Producer


class FaustTableRecovery(Recovery):
    """Faust's recovery for ordinary tables; transactional ones never enter it."""

    def add_active(self, table: Any, tp: TP) -> None:
        if not isinstance(table, TransactionalTable):
            super().add_active(table, tp)

    def add_standby(self, table: Any, tp: TP) -> None:
        if not isinstance(table, TransactionalTable):
            super().add_standby(table, tp)


class EngineTableManager(TableManager):
    """Faust's table manager with the recovery above, and without its second of sleep at start.

    The conductor waits by itself until agents have started and tables are registered.
    """

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Any:
        return library_internals.set_recovery(self, FaustTableRecovery)
