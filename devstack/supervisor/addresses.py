"""Where everything of one stack is: ports that the state directory keeps, and secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from devstack.services.ports import LOOPBACK, PortBook
from devstack.supervisor.state_dir import StateDir
from workers.catalogue import WORKERS

# Given in the environment, the part is not started and the given one is used.
OUTSIDE_VARIABLES = ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "REDIS_URL")
SIMULATORS = ("network", "bank", "receiver")
FALLBACK = "network_fallback"


@dataclass(frozen=True)
class Addresses:
    """Ports by name, and the variables that follow from them."""

    ports: Mapping[str, int]
    outside: Mapping[str, str]
    secrets: Mapping[str, str]
    state_dir: str
    secure: bool = False

    def url(self, name: str) -> str:
        """The address of one of our HTTP processes."""
        scheme = "https" if self.secure and name == "api" else "http"
        return f"{scheme}://{LOOPBACK}:{self.ports[name]}"

    def variables(self, stores: Mapping[str, str]) -> dict[str, str]:
        """What the env file holds and our processes get. `stores`: the addresses of the three."""
        metrics = [name for name in self.ports if name in ("api", "console") or "health" in name]
        return {
            **stores,
            "API_URL": self.url("api"),
            "CONSOLE_URL": self.url("console"),
            "PROMETHEUS_URLS": ",".join(f"{self.url(name)}/metrics" for name in metrics),
            **{f"{n.upper()}_URL": self.url(n) for n in (*SIMULATORS, FALLBACK) if n in self.ports},
            **self.secrets,
            "PAYSTREAM_STATE_DIR": self.state_dir,
        }


def worker_names(payments_workers: int) -> tuple[tuple[str, str], ...]:
    """(worker, instance id) of each worker process: as many payments workers as asked, else one."""
    processes = {name: payments_workers if name == "payments" else 1 for name in WORKERS}
    return tuple((name, str(n)) for name, count in processes.items() for n in range(count))


def allocate(
    state: StateDir,
    book: PortBook,
    payments_workers: int,
    *,
    fallback_network: bool = False,
    secure: bool = False,
) -> Addresses:
    """Ports and secrets of this state directory, made where they are missing."""
    health = (
        f"{name}-{instance_id}-health" for name, instance_id in worker_names(payments_workers)
    )
    fallback = (FALLBACK,) if fallback_network else ()
    names = ("clickhouse", "valkey", "api", "console", *SIMULATORS, *fallback, *health)
    secrets = {
        "ADMIN_TOKEN": "admin-token",
        "PAYSTREAM_MASTER_KEY": "master-key",
        "NETWORK_NOTIFICATION_SECRET": "network-notification-secret",
    }
    return Addresses(
        ports={name: book.claim(name) for name in names},
        outside={name: os.environ[name] for name in OUTSIDE_VARIABLES if os.environ.get(name)},
        secrets={variable: state.secret(file) for variable, file in secrets.items()},
        state_dir=str(state.path),
        secure=secure,
    )
