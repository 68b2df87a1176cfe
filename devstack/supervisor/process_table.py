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
from devstack.supervisor.state_dir import StateDir
from runtime.settings import connections
from workers.catalogue import WORKERS

TOPICS = "topics"
MIGRATIONS = "migrations"
READY_SECONDS_MAX = 180.0  # two cores start a dozen processes at once


def stores(
    state: StateDir, ports: PortBook, given: Addresses, brokers: int
) -> tuple[list[Entry], dict[str, str]]:
    """Kafka, ClickHouse and Valkey as far as they are not outside; and where they are."""
    table: list[Entry] = []
    variables = dict(given.outside)
    if "KAFKA_BOOTSTRAP_SERVERS" not in variables:
        cluster = kafka.prepare(state.path / "kafka", ports, state.logs, brokers)
        table += [Process(launch, Stage.STORES) for launch in cluster.launches]
        variables["KAFKA_BOOTSTRAP_SERVERS"] = cluster.bootstrap_servers
    if "CLICKHOUSE_URL" not in variables:
        port = given.ports["clickhouse"]
        launch = clickhouse.launch(state.path / "clickhouse", port, state.logs)
        table.append(Process(launch, Stage.STORES))
        variables["CLICKHOUSE_URL"] = clickhouse.url(port)
        variables["ANALYST_CLICKHOUSE_URL"] = clickhouse.analyst_url(port)
    if "REDIS_URL" not in variables:
        port = given.ports["valkey"]
        table.append(Process(valkey.launch(state.path / "valkey", port, state.logs), Stage.STORES))
        variables["REDIS_URL"] = valkey.url(port)
    return table, variables


def preparations(table: list[Entry], variables: Mapping[str, str], brokers: int) -> list[Entry]:
    """Topics once Kafka answers, ClickHouse's tables once it does."""
    names = [entry.name for entry in table]
    brokers_needed = tuple(name for name in names if name.startswith("kafka"))
    clickhouse_needed = tuple(name for name in names if name == "clickhouse")
    create = partial(_create_topics, variables, min(brokers, 3))
    migrate = partial(_migrate, variables)
    return [
        InitTask(TOPICS, create, brokers_needed),
        InitTask(MIGRATIONS, migrate, clickhouse_needed),
    ]


def own_processes(
    state: StateDir, given: Addresses, environment: Mapping[str, str], options: UpOptions
) -> list[Entry]:
    """Simulators, workers, API and console, with the variables of the stack."""
    ours = _Programs(state, given, {**environment, **options.environment})
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

    def __init__(self, state: StateDir, given: Addresses, environment: Mapping[str, str]) -> None:
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
        return self._process(f"{name}-{instance_id}", health, command, Stage.WORKERS, needs)

    def server(self, name: str, module: str, stage: Stage) -> Process:
        command = (module, "--port", str(self._given.ports[name]))
        return self._process(name, name, command, stage, (TOPICS, MIGRATIONS))

    def _process(
        self, name: str, port: str, module: tuple[str, ...], stage: Stage, needs: tuple[str, ...]
    ) -> Process:
        launch = Launch(
            name=name,
            command=(sys.executable, "-m", *module),
            log_path=self._state.logs / f"{name}.log",
            environment={**self._environment, "HEALTH_PORT": str(self._given.ports[port])},
            ready=partial(answers_ok, f"{self._given.url(port)}/readyz"),
            ready_timeout_seconds=READY_SECONDS_MAX,
        )
        return Process(launch, stage, needs)


def _create_topics(variables: Mapping[str, str], replication: int) -> None:
    from paystream.operations.topics import create_all

    create_all(connections({**os.environ, **variables}).kafka, replication)


def _migrate(variables: Mapping[str, str]) -> None:
    from runtime.clickhouse import connect
    from sinks.audit.migrations import migrate

    with connect(connections({**os.environ, **variables}).clickhouse) as client:
        migrate(client)
