"""librdkafka settings of every client of the engine, with the reason of each value that is not
default.
"""

from __future__ import annotations

from typing import Any

from engine.settings import EngineSettings

LibrdkafkaSettings = dict[str, Any]
CONNECTION_SETUP_MS = 5_000
"""A stopped broker accepts connections and never replies."""


class ClientConfig:
    """Derives the settings of consumers, producers and admin clients for one worker.

    `bootstrap_servers`: "host:port,host:port". `instance_id` names the worker within its app.
    """

    def __init__(
        self, app_id: str, instance_id: str, bootstrap_servers: str, settings: EngineSettings
    ) -> None:
        self.app_id = app_id
        self.instance_id = instance_id
        self.bootstrap_servers = bootstrap_servers
        self.settings = settings

    @property
    def transactional_id(self) -> str:
        """Stable over restarts: a restarted worker fences its predecessor and aborts what it left
        open.
        """
        return f"{self.app_id}-{self.instance_id}"

    @property
    def group_instance_id(self) -> str | None:
        """Static membership: one per instance id; None when it is off."""
        return self.transactional_id if self.settings.static_membership else None

    def base(self) -> LibrdkafkaSettings:
        """Shared by all clients; the default backoff of 10 s and timeouts of 60, 30 and 10 s would
        lengthen every failover.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": f"{self.app_id}-{self.instance_id}",
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1000,
            "socket.timeout.ms": int(self.settings.request_timeout_seconds * 1000),
            "socket.connection.setup.timeout.ms": CONNECTION_SETUP_MS,
            "api.version.request.timeout.ms": CONNECTION_SETUP_MS,
            **self.settings.extra,
        }

    def fetch_consumer(self) -> LibrdkafkaSettings:
        """Reads batch topics by assign(); never joins the group, uses its id only for OffsetFetch.

        `auto.offset.reset=error`: an offset out of range must never be skipped silently.
        """
        return self._read_committed() | {
            "group.id": self.app_id,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,  # the only sign that a lag consists of markers alone
            # Not more: with 500 ms and 96 partitions a record after a pause came up to 47 s late.
            "fetch.wait.max.ms": 100,
            "queued.min.messages": self.settings.prefetch_records,
            "queued.max.messages.kbytes": self.settings.prefetch_kilobytes,
        }

    def unstable_consumer(self) -> LibrdkafkaSettings:
        """Sees the last committed offsets also while a newer commit is unstable."""
        return self.base() | {
            "group.id": self.app_id,
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
        }

    def restore_consumer(self) -> LibrdkafkaSettings:
        """Reads changelogs as fast as possible and reports the end of each partition."""
        return self._read_committed() | {
            "group.id": f"{self.app_id}-restore",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "queued.min.messages": 200_000,
            "queued.max.messages.kbytes": 131_072,
            "fetch.message.max.bytes": 8_388_608,
        }

    def parallel_consumer(self) -> LibrdkafkaSettings:
        """Joins its own group; offsets are committed explicitly, after the results are durable."""
        return self._read_committed() | {
            "group.id": f"{self.app_id}-calls",
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(self.settings.session_timeout_seconds * 1000),
            "heartbeat.interval.ms": int(self.settings.heartbeat_seconds * 1000),
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 2_000,
            "queued.max.messages.kbytes": 16_384,
        }

    def transactional_producer(self) -> LibrdkafkaSettings:
        """One burst per cycle inside one transaction, which outlasts every single request.

        One request at a time: with more, a later one may succeed while the first fails, and
        librdkafka then reports the first as delivered (see `not_acknowledged`).
        """
        settings = self.settings
        transaction_ms = int(settings.transaction_timeout_seconds * 1000)
        request_ms = int(settings.request_timeout_seconds * 1000)
        return self._producer() | {
            "transactional.id": self.transactional_id,
            "transaction.timeout.ms": transaction_ms,
            "socket.timeout.ms": min(request_ms, transaction_ms - 1000),
            "linger.ms": self.settings.linger_ms,
            "max.in.flight.requests.per.connection": 1,
            "queue.buffering.max.messages": 1_000_000,
        }

    def idempotent_producer(self) -> LibrdkafkaSettings:
        """For `produce`: acknowledged by all replicas, no duplicates by retries."""
        return self._producer() | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "delivery.timeout.ms": 60_000,
        }

    def _producer(self) -> LibrdkafkaSettings:
        """murmur2_random is the Java client's partitioner; librdkafka's own default is CRC32."""
        return self.base() | {
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "batch.num.messages": 10_000,
            "message.max.bytes": self.settings.record_bytes_max + 48_000,
            "retry.backoff.ms": self.settings.retry_backoff_ms,
            "retry.backoff.max.ms": 250,
        }

    def _read_committed(self) -> LibrdkafkaSettings:
        """`fetch.queue.backoff.ms`: the default of 1 s halves the throughput of small queues."""
        return self.base() | {
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 5,
        }
