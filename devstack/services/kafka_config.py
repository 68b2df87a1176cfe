"""`server.properties` of the embedded brokers: KRaft, broker and controller in one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.services.kafka_security import LISTENER, BrokerSecurity
from devstack.services.ports import LOOPBACK

# Internal topics with few partitions start and fail over faster; load is spread by ours.
INTERNAL_PARTITIONS = 4


@dataclass(frozen=True)
class Node:
    """One broker: its id (from 1), its two loopback ports and its directory."""

    id: int
    broker_port: int
    controller_port: int
    directory: Path

    @property
    def config_path(self) -> Path:
        """Where its `server.properties` is."""
        return self.directory / "server.properties"

    @property
    def data_dir(self) -> Path:
        """Where its log segments are."""
        return self.directory / "data"

    @property
    def bootstrap(self) -> str:
        """Its address for clients."""
        return f"{LOOPBACK}:{self.broker_port}"


def properties(node: Node, nodes: Sequence[Node], security: BrokerSecurity | None = None) -> str:
    """The file's text for one node of the cluster."""
    listener = "PLAINTEXT" if security is None else LISTENER
    settings = _identity(node, nodes, listener) | _durability(len(nodes)) | _size()
    if security is not None:
        settings |= security.properties()
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _identity(node: Node, nodes: Sequence[Node], listener: str) -> dict[str, object]:
    voters = ",".join(f"{n.id}@{LOOPBACK}:{n.controller_port}" for n in nodes)
    return {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": voters,
        "listeners": (
            f"{listener}://{node.bootstrap},CONTROLLER://{LOOPBACK}:{node.controller_port}"
        ),
        "advertised.listeners": f"{listener}://{node.bootstrap}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": node.data_dir,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
    }


def _durability(brokers: int) -> dict[str, object]:
    replicas = min(brokers, 3)
    in_sync = 2 if replicas == 3 else 1
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "unclean.leader.election.enable": "false",
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 1,
    }


def _size() -> dict[str, object]:
    return {
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.replica.fetchers": 1,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 2,
        "log.cleaner.threads": 1,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # the default takes 128 MB of heap
        "log.index.size.max.bytes": 1024 * 1024,
    }
