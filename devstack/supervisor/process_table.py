"""The process table of paystream: stores, preparations, simulators, workers, API, console."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial

from devstack.services import clickhouse, kafka, valkey
from devstack.services.child import Launch
from devstack.services.http_probe import answers_ok
from devstack.services.ports import PortBook
from devstack.supervisor.addresses import FALLBACK, SIMULATORS, Addresses, worker_names
from devstack.supervisor.options import UpOptions
from devstack.supervisor.process_spec import Entry, InitTask, Process, Stage
from devstack.supervisor.security import StackSecurity
from devstack.supervisor.state_dir import StateDir
from paystream.operations.access import API, CONSOLE, OPERATORS
from runtime.kafka_connection import KafkaConnection
from runtime.settings import Connections, connections
from workers.catalogue import WORKERS

TOPICS = "topics"
MIGRATIONS = "migrations"
READY_SECONDS_MAX = 180.0  # two cores start a dozen processes at once


def stores(
    state: StateDir,
    ports: PortBook,
    given: Addresses,
    brokers: int,
    security: StackSecurity | None = None,
) -> tuple[list[Entry], dict[str, str]]:
    """Kafka, ClickHouse and Valkey as far as they are not outside; and where they are."""
    table: list[Entry] = []
    variables = dict(given.outside)
    broker = security.broker if security else None
    certificates = security.certificates if security else None
    if "KAFKA_BOOTSTRAP_SERVERS" not in variables:
        cluster = kafka.prepare(state.path / "kafka", ports, state.logs, brokers, broker)
        table += [Process(launch, Stage.STORES) for launch in cluster.launches]
        variables["KAFKA_BOOTSTRAP_SERVERS"] = cluster.bootstrap_servers
    if "CLICKHOUSE_URL" not in variables:
        port = given.ports["clickhouse"]
        launch = clickhouse.launch(
            state.path / "clickhouse",
            port,
            state.logs,
            certificates=certificates,
            passwords=security.clickhouse_server() if security else None,
        )
        table.append(Process(launch, Stage.STORES))
        variables["CLICKHOUSE_URL"] = clickhouse.url(port, certificates)
        variables["ANALYST_CLICKHOUSE_URL"] = clickhouse.analyst_url(port, certificates)
    if "REDIS_URL" not in variables:
        entries, variables["REDIS_URL"] = _valkey(state, given.ports["valkey"], security)
        table += entries
    return table, variables


def _valkey(state: StateDir, port: int, security: StackSecurity | None) -> tuple[list[Entry], str]:
    directory = state.path / "valkey"
    if security is None:
        return [Process(valkey.launch(directory, port, state.logs), Stage.STORES)], valkey.url(port)
    server, front = valkey.secured_launches(
        directory, port, state.logs, security.certificates, security.valkey
    )
    table: list[Entry] = [
        Process(server, Stage.STORES),
        Process(front, Stage.STORES, (server.name,)),
    ]
    return table, valkey.secured_url(port)


def preparations(
    table: list[Entry],
    variables: Mapping[str, str],
    brokers: int,
    security: StackSecurity | None = None,
) -> list[Entry]:
    """Topics once Kafka answers, ClickHouse's tables once it does."""
    names = [entry.name for entry in table]
    brokers_needed = tuple(name for name in names if name.startswith("kafka"))
    clickhouse_needed = tuple(name for name in names if name == "clickhouse")
    who = security.of(OPERATORS) if security else {}
    at = connections({**os.environ, **variables, **who})
    admin = security.broker.connection(at.kafka.bootstrap_servers) if security else at.kafka
    create = partial(_create_topics, admin, min(brokers, 3), secured=security is not None)
    return [
        InitTask(TOPICS, create, brokers_needed),
        InitTask(MIGRATIONS, partial(_migrate, at), clickhouse_needed),
    ]


def own_processes(
    state: StateDir,
    given: Addresses,
    environment: Mapping[str, str],
    options: UpOptions,
    security: StackSecurity | None = None,
) -> list[Entry]:
    """Simulators, workers, API and console, with the variables of the stack."""
    ours = _Programs(state, given, {**environment, **options.environment}, security)
    workers = [
        ours.worker(name, instance_id) for name, instance_id in worker_names(options.workers)
    ]
    return [
        *(ours.simulator(name) for name in SIMULATORS),
        *([ours.fallback_network()] if options.fallback_network else []),
        *workers,
        ours.server("api", "ingest_api", Stage.INTAKE),
        ours.server("console", "dashboards.console", Stage.CONSOLE),
    ]


class _Programs:
    """Makes table entries of our own programs."""

    def __init__(
        self,
        state: StateDir,
        given: Addresses,
        environment: Mapping[str, str],
        security: StackSecurity | None,
    ) -> None:
        self._security = security
        self._state = state
        self._given = given
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}

    def simulator(self, name: str) -> Process:
        directory = self._state.path / "simulators" / name
        directory.mkdir(parents=True, exist_ok=True)
        port = str(self._given.ports[name])
        arguments = ("--port", port, "--state-dir", str(directory))
        module = f"devstack.simulators.{name}"
        return self._process(f"{name}-simulator", name, (module, *arguments), Stage.SIMULATORS, ())

    def fallback_network(self) -> Process:
        """Another card network with the key pair of the first, which it needs to read cards."""
        first = self._state.path / "simulators" / "network" / "network_key.json"
        directory = self._state.path / "simulators" / FALLBACK
        directory.mkdir(parents=True, exist_ok=True)
        port = str(self._given.ports[FALLBACK])
        arguments = ("--port", port, "--state-dir", str(directory), "--key-file", str(first))
        module = ("devstack.simulators.network", *arguments)
        needs = ("network-simulator",)
        return self._process(f"{FALLBACK}-simulator", FALLBACK, module, Stage.SIMULATORS, needs)

    def worker(self, name: str, instance_id: str) -> Process:
        health = f"{name}-{instance_id}-health"
        command = ("workers", name, "--instance-id", instance_id)
        needs = (TOPICS, MIGRATIONS) if WORKERS[name].needs_ledger else (TOPICS,)
        process = f"{name}-{instance_id}"
        who = self._who(WORKERS[name].group)
        return self._process(process, health, command, Stage.WORKERS, needs, who)

    def server(self, name: str, module: str, stage: Stage) -> Process:
        command = (module, "--port", str(self._given.ports[name]))
        who = self._who(API if name == "api" else CONSOLE)
        if self._security is not None and name == "api":
            who |= self._security.api_server()
        return self._process(name, name, command, stage, (TOPICS, MIGRATIONS), who)

    def _who(self, user: str) -> dict[str, str]:
        return self._security.of(user) if self._security is not None else {}

    def _process(
        self,
        name: str,
        port: str,
        module: tuple[str, ...],
        stage: Stage,
        needs: tuple[str, ...],
        who: Mapping[str, str] | None = None,
    ) -> Process:
        ca_file = self._security.certificates.ca_file if self._security is not None else None
        trust = {} if ca_file is None else {"SSL_CERT_FILE": str(ca_file)}
        own = {**trust, **(who or {}), "HEALTH_PORT": str(self._given.ports[port])}
        launch = Launch(
            name=name,
            command=(sys.executable, "-m", *module),
            log_path=self._state.logs / f"{name}.log",
            environment={**self._environment, **own},
            ready=partial(answers_ok, f"{self._given.url(port)}/readyz", ca_file),
            ready_timeout_seconds=READY_SECONDS_MAX,
        )
        return Process(launch, stage, needs)


def _create_topics(kafka: KafkaConnection, replication: int, *, secured: bool) -> None:
    from paystream.operations import acls
    from paystream.operations.topics import create_all

    create_all(kafka, replication)
    if secured:
        acls.apply(kafka, acls.wanted())


def _migrate(at: Connections) -> None:
    from runtime.clickhouse import connect
    from sinks.audit.migrations import migrate

    with connect(at.clickhouse) as client:
        migrate(client)
