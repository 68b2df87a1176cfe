"""The one list of workers: their names, consumer groups and composition roots.

Groups, process table, command line, compose test and pages derive from it. It imports no worker, so
that a process imports only its own.
"""

from collections.abc import Mapping
from typing import NamedTuple

PARALLEL_SUFFIX = "-calls"
"""What the engine appends to an app's group for its parallel consumers."""


class Worker(NamedTuple):
    """One kind of worker.

    `group`: the app's consumer group, and its name as reader and writer in the topic files.
    `builder`: "module:function" of its composition root, called with (instance id, environment).
    `calls_only`: it reads by parallel consumers alone, so that only their group has offsets.
    `needs_ledger`: it starts after the ClickHouse migrations.
    `commit_interval_seconds`: shortest time between two commits; short where a client waits.
    """

    name: str
    group: str
    builder: str
    purpose: str
    calls_only: bool = False
    needs_ledger: bool = False
    commit_interval_seconds: float = 0.0

    @property
    def committing_group(self) -> str:
        """The consumer group whose offsets show this worker's lag."""
        return self.group + PARALLEL_SUFFIX if self.calls_only else self.group


WORKERS: Mapping[str, Worker] = {
    worker.name: worker
    for worker in (
        Worker(
            "payments",
            "streams-payments",
            "streams.app:build_payments_app",
            "decides payment commands, keeps each payment's state, sends deadlines",
            commit_interval_seconds=0.01,
        ),
        Worker(
            "network",
            "streams-network",
            "streams.app:build_network_app",
            "calls the card network, fetches the history of archived payments",
            calls_only=True,
        ),
        Worker(
            "merchants",
            "streams-merchants",
            "streams.app:build_merchants_app",
            "registers merchants, their keys and endpoints",
            commit_interval_seconds=0.01,
        ),
        Worker(
            "audit",
            "sinks-audit",
            "sinks.audit.app:build_app",
            "writes the ledger and its signed chain to ClickHouse",
            needs_ledger=True,
            commit_interval_seconds=0.2,
        ),
        Worker(
            "webhooks",
            "sinks-webhooks",
            "sinks.webhooks.app:build_app",
            "delivers signed webhooks to merchants' endpoints",
            commit_interval_seconds=0.05,
        ),
        Worker(
            "payouts",
            "sinks-payouts",
            "sinks.payouts.app:build_app",
            "batches what merchants earned and pays it to their banks",
            commit_interval_seconds=0.2,
        ),
        Worker(
            "status",
            "sinks-status",
            "sinks.status.app:build_app",
            "keeps the newest state of each payment in Valkey",
            commit_interval_seconds=0.01,
        ),
        Worker(
            "reconciliation",
            "sinks-reconciliation",
            "sinks.reconciliation.app:build_app",
            "matches ledger, settlement reports and bank statements",
            commit_interval_seconds=0.2,
        ),
    )
}
"""Name -> worker, in the order in which a payment meets them."""

GROUPS: tuple[str, ...] = tuple(worker.committing_group for worker in WORKERS.values())
"""The consumer groups that commit offsets, one per kind of worker."""
