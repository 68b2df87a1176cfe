"""The app: Faust's, with `batch_topic`, `transactional_table` and `parallel_consumer`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import faust
import msgspec

from engine.agent import AgentFunction, BatchStream, check_agent_function
from engine.broker.clients import ClientConfig
from engine.broker.security import faust_credentials
from engine.broker.topology import Topology
from engine.consumers.dead_letters import DeadLetters, EncodeDeadLetter
from engine.consumers.parallel_consumer import CallFunction, ParallelConsumer
from engine.consumers.replays import DecodeReplay
from engine.context import EngineContext
from engine.engine import Engine
from engine.errors import AgentUsageError, MissingTopics
from engine.membership import library_internals
from engine.membership.instance_id import InstanceLock, warn_if_member_exists
from engine.membership.transport import SCHEME, EngineTableManager
from engine.membership.watchdog import Watchdog
from engine.producer_record import Key, ProducerRecord
from engine.settings import EngineSettings
from engine.state.partition import Decode, DueMs, Encode
from engine.state.store import StoreFactory, memory_store
from engine.state.table import TransactionalTable
from engine.stats import EngineStats
from engine.topic import BatchTopic, DecodeRecord
from engine.transactions.idempotent_producer import IdempotentProducer
from engine.types import TopicPartition

DIRECTORY = "faust-engine"
"""Below the system's temporary directory; `data_dir` replaces it."""
TOPOLOGY_SECONDS_MARGIN = 30.0
PARTITION_CHECK_SECONDS = 5.0
REQUEST_SECONDS_MARGIN = 5.0
"""Over the session timeout: a heartbeat that waits longer for a stopped broker is useless."""
MAX_POLL_INTERVAL_SECONDS = 100 * 365 * 86_400.0
"""aiokafka leaves the group when it is not polled for this long. The engine uses it for membership
only and never polls it, so the check is disabled. The watchdog detects stalls instead.
"""


class Replays(NamedTuple):
    """The topic of replays, with as many partitions as batch topics have, and its decoder."""

    topic: str
    decode: DecodeReplay


class EngineApp(faust.App):
    """A Faust app whose batch agents are exactly-once.

    `app_id`: consumer group and prefix of changelogs. `instance_id`: this worker's stable name
    within the app, from which `transactional.id` and `group.instance.id` derive.
    `topic_partitions`: of all batch topics and tables. `data_dir`: for lock files, by default in
    the system's temporary directory. `dead_letter_topic` None: a record that cannot be processed
    ends the worker. `wait_errors`: exceptions of decoding that mean a record of a newer release:
    the worker waits before such a record until it is replaced. `replays`: the topic by which dead
    letters come back. More keyword arguments go to Faust's settings.
    """

    def __init__(  # noqa: PLR0913 - the composition root: keyword arguments only, each optional
        self,
        app_id: str,
        *,
        bootstrap_servers: str,
        instance_id: str = "0",
        settings: EngineSettings | None = None,
        topic_partitions: int = 12,
        replication: int = 1,
        web_port: int | None = None,
        data_dir: Path | str | None = None,
        dead_letter_topic: str | None = None,
        encode_dead_letter: EncodeDeadLetter | None = None,
        wait_errors: tuple[type[Exception], ...] = (),
        replays: Replays | None = None,
        extra: Mapping[str, Any] | None = None,
        **faust_settings: Any,
    ) -> None:
        self.engine_settings = _with_extra(settings or EngineSettings(), extra)
        self.instance_id = instance_id
        self.wait_errors = wait_errors
        self._replays = replays
        config = ClientConfig(app_id, instance_id, bootstrap_servers, self.engine_settings)
        dead_letters = _dead_letters(
            app_id, dead_letter_topic, encode_dead_letter, self.engine_settings.record_bytes_max
        )
        self.context = EngineContext.of(config, dead_letters)
        self.engine = Engine(self.context, self._crash_with)
        self.parallel_consumers: list[ParallelConsumer] = []
        self._idempotent_producer = IdempotentProducer(config)
        self._topology = Topology(config, replication)
        self._watchdog = Watchdog(self.engine)
        directory = Path(data_dir or Path(tempfile.gettempdir()) / DIRECTORY)
        self._instance_lock = InstanceLock(directory, app_id, instance_id)
        chosen = self._faust_settings(
            bootstrap_servers, topic_partitions, replication, web_port, directory
        )
        super().__init__(app_id, **(chosen | faust_settings))

    # -- what an agent's author uses

    def batch_topic(
        self,
        name: str,
        decode: DecodeRecord,
        decode_errors: tuple[type[Exception], ...] = (),
    ) -> BatchTopic:
        """A source topic; `decode(value bytes)` makes a `Record`'s value.

        `decode_errors`: exceptions that mean an undecodable record when an agent raises one,
        because it decodes by itself. Every batch topic needs `topic_partitions` partitions.
        """
        topic = self.context.topics[name] = BatchTopic(
            self, name, decode, decode_errors, self.wait_errors
        )
        if self._replays is not None and self._replays.topic not in self.context.topics:
            self._add_replays(*self._replays)
        return topic

    def _add_replays(self, name: str, decode_replay: DecodeReplay) -> None:
        topic = self.batch_topic(name, decode=bytes)
        topic.decode_replay = decode_replay

        @self.agent(topic)
        async def hand_on_replays(stream: BatchStream) -> None:
            """Only joins the group: `PollBatch` gives each replay to the agent of its topic."""
            async for _ in stream:
                raise AgentUsageError(f"A batch of {name} reached its own agent.")

    def transactional_table(
        self,
        name: str,
        *,
        encode: Encode,
        decode: Decode,
        partitions: int | None = None,
        due_ms: DueMs | None = None,
        expires_ms: DueMs | None = None,
        new_store: StoreFactory = memory_store,
    ) -> TransactionalTable:
        """A table with the changelog `<app>-<name>-changelog`.

        `due_ms(value)`: epoch ms at which an entry is due, or None; feeds `table.due`.
        `expires_ms(value)`: epoch ms from which an entry is gone, by record time, or None.
        """
        table = TransactionalTable(
            self,
            name=name,
            partitions=partitions or self.conf.topic_partitions,
            encode=encode,
            decode=decode,
            due_ms=due_ms,
            expires_ms=expires_ms,
            new_store=new_store,
        )
        self.tables.add(table)
        self.context.tables.append(table)
        return table

    def agent(self, channel: Any = None, **options: Any) -> Callable[[AgentFunction], Any]:
        """Faust's decorator; for a batch topic the stream yields `Batch`es.

        `merge_partitions=True` (batch topics): one batch per poll over all partitions instead of
        one for each; for sinks that pay per write to their store. Such an agent uses no tables.
        """
        if not isinstance(channel, BatchTopic):
            return super().agent(channel, **options)  # type: ignore[no-any-return] # untyped base
        channel.merge_partitions = options.pop("merge_partitions", False)
        return self._batch_agent(channel, options)

    def parallel_consumer(
        self,
        topic: str,
        *,
        decode: DecodeRecord,
        call: CallFunction,
        in_flight_max: int = 200,
        key_order: bool = True,
        **options: Any,
    ) -> ParallelConsumer:
        """Calls to other systems, one per record: see `ParallelConsumer`."""
        consumer = ParallelConsumer(
            self.context,
            self._idempotent_producer,
            self._crash_with,
            topic,
            decode=decode,
            call=call,
            in_flight_max=in_flight_max,
            key_order=key_order,
            wait_errors=self.wait_errors,
            **options,
        )
        self.parallel_consumers.append(consumer)
        return consumer

    async def produce(
        self,
        topic: str,
        key: Key,
        value: bytes | None,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> None:
        """Write a record outside of a transaction; returns when all in-sync replicas have it."""
        record = ProducerRecord(topic, key, value, headers or {}, partition)
        await self._idempotent_producer.send(record)

    @property
    def ready(self) -> bool:
        """Partitions are assigned, tables restored, records processed (also with no partition)."""
        processing = self.engine.processing or not self.context.topics
        return processing and all(consumer.ready for consumer in self.parallel_consumers)

    @property
    def generation(self) -> int:
        """Of the consumer group, as this worker joined it; 0 between two assignments."""
        assignment = self.engine.assignment
        return 0 if assignment is None else assignment.generation

    @property
    def stats(self) -> EngineStats:
        """Counters since the start."""
        return self.context.stats

    def lag(self) -> dict[TopicPartition, int]:
        """Records that are not committed, per source partition that this worker owns."""
        assignment = self.engine.assignment
        return {} if assignment is None else assignment.lag()

    def blocked(self) -> dict[TopicPartition, int]:
        """Offsets behind an open transaction, per source partition that this worker owns."""
        assignment = self.engine.assignment
        return {} if assignment is None else assignment.blocked()

    # -- life

    async def on_first_start(self) -> None:
        """Faust creates its data directory, but not the parents of it."""
        self.conf.datadir.mkdir(parents=True, exist_ok=True)
        await super().on_first_start()

    async def on_start(self) -> None:
        """Checks first, so that a worker that cannot run reports it before it joins the group."""
        library_internals.check()
        self._instance_lock.acquire()
        self._check_agents()
        wait = self.engine_settings.topic_wait_seconds + TOPOLOGY_SECONDS_MARGIN
        work = asyncio.to_thread(self._topology.ensure, self._wanted_topics(), self._changelogs())
        await asyncio.wait_for(work, wait)
        await asyncio.to_thread(warn_if_member_exists, self.context.config)
        await super().on_start()
        await self.engine.start()
        self._watchdog.start()
        self.add_future(self._watch_partitions())
        for consumer in self.parallel_consumers:
            await self.add_runtime_dependency(consumer)

    async def on_stop(self) -> None:
        """Drain, then leave: nothing of an unfinished cycle becomes visible."""
        for consumer in self.parallel_consumers:
            await consumer.stop()
        await self.engine.stop()
        await self._idempotent_producer.close()
        await super().on_stop()
        self._watchdog.stop()
        self._instance_lock.release()

    async def _watch_partitions(self) -> None:
        """A topic that gets more partitions ends the worker: keys are elsewhere from then on."""
        wanted = {name: count for name, count in self._wanted_topics().items() if count is not None}
        while wanted and not self.should_stop:
            await asyncio.sleep(PARTITION_CHECK_SECONDS)
            changed = await asyncio.to_thread(self._topology.changed, wanted)
            if changed:
                await self.crash(MissingTopics(" ".join(changed)))
                return

    async def _wait_for_table_recovery_completed(self) -> bool:
        """Tasks and timers start with the app: Faust recovers nothing here, the engine restores.

        Faust starts them after its first recovery. A broker that dies before would hold them up
        for as long as the worker lives, while its agents go on.
        """
        return False

    async def _crash_with(self, error: BaseException) -> None:
        await self.crash(error)

    def _batch_agent(
        self, topic: BatchTopic, options: dict[str, Any]
    ) -> Callable[[AgentFunction], Any]:
        if options.get("concurrency", 1) != 1:
            raise ValueError(
                f"The agent of {topic.name} has a concurrency. Remove it: partitions are the unit "
                "of scale of a batch agent."
            )
        if topic.function is not None:
            raise ValueError(f"{topic.name} has an agent already. Use one agent per batch topic.")

        def decorate(function: AgentFunction) -> Any:
            check_agent_function(function)
            topic.function = function

            async def run(_stream: Any) -> None:
                await topic.channel.run(function)

            run.__name__ = function.__name__
            run.__qualname__ = function.__qualname__
            run.__module__ = function.__module__
            run.__doc__ = function.__doc__
            return super(EngineApp, self).agent(topic.faust_topic, **options)(run)

        return decorate

    def _check_agents(self) -> None:
        for topic in self.context.topics.values():
            if topic.function is None:
                raise ValueError(
                    f"Batch topic {topic.name} has no agent. Add one, or remove the topic."
                )

    def _wanted_topics(self) -> dict[str, int | None]:
        wanted: dict[str, int | None] = dict.fromkeys(
            self.context.topics, self.conf.topic_partitions
        )
        for consumer in self.parallel_consumers:
            wanted.setdefault(consumer.topic, None)
        if self.context.dead_letters is not None:
            wanted.setdefault(self.context.dead_letters.topic, None)
        return wanted

    def _changelogs(self) -> dict[str, int]:
        return {table.changelog_topic_name: int(table.partitions) for table in self.context.tables}

    def _faust_settings(
        self,
        bootstrap_servers: str,
        topic_partitions: int,
        replication: int,
        web_port: int | None,
        directory: Path,
    ) -> dict[str, Any]:
        settings, config = self.engine_settings, self.context.config
        web = {"web_port": web_port} if web_port is not None else {}
        return web | {
            "broker": [f"{SCHEME}://{server}" for server in bootstrap_servers.split(",")],
            "broker_credentials": faust_credentials(settings.extra),
            "broker_client_id": f"faust-{config.transactional_id}",
            "broker_session_timeout": settings.session_timeout_seconds,
            "broker_request_timeout": settings.session_timeout_seconds + REQUEST_SECONDS_MARGIN,
            "broker_heartbeat_interval": settings.heartbeat_seconds,
            "broker_max_poll_interval": MAX_POLL_INTERVAL_SECONDS,
            "consumer_group_instance_id": config.group_instance_id,
            "consumer_auto_offset_reset": "earliest",
            "topic_partitions": topic_partitions,
            "topic_replication_factor": replication,
            "topic_disable_leader": True,
            "table_standby_replicas": 0,
            "processing_guarantee": "at_least_once",
            "stream_wait_empty": False,
            "store": "memory://",
            "autodiscover": False,
            "datadir": directory / config.transactional_id,
            "web_enabled": web_port is not None,
            "web_tables_enabled": False,
            "TableManager": EngineTableManager,
        }


def _with_extra(settings: EngineSettings, extra: Mapping[str, Any] | None) -> EngineSettings:
    if not extra:
        return settings

    return msgspec.structs.replace(settings, extra={**settings.extra, **extra})


def _dead_letters(
    app_id: str, topic: str | None, encode: EncodeDeadLetter | None, record_bytes_max: int
) -> DeadLetters | None:
    if topic is None:
        return None
    if encode is None:
        raise ValueError(
            "dead_letter_topic is set without encode_dead_letter. Set both, or neither."
        )
    return DeadLetters(topic, encode, app_id, record_bytes_max)
