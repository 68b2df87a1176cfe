"""Every topic of the system: a file in topics/ each, loaded and checked here."""

from importlib.resources import files
from typing import Literal

import msgspec

PAYMENTS_COMMANDS = "payments.commands"
PAYMENTS_PRODUCER_COMMANDS = "payments.producer_commands"
PAYMENTS_NETWORK_RESULTS = "payments.network_results"
PAYMENTS_NETWORK_NOTIFICATIONS = "payments.network_notifications"
PAYMENTS_DEADLINES = "payments.deadlines"
PAYMENTS_SETTLEMENTS = "payments.settlements"
PAYMENTS_OPERATOR_COMMANDS = "payments.operator_commands"
HISTORY_RESULTS = "history.results"
PAYMENTS_REJECTIONS = "payments.rejections"
PAYMENTS_EVENTS = "payments.events"
NETWORK_REQUESTS = "network.requests"
HISTORY_REQUESTS = "history.requests"
PAYMENTS_DEAD_LETTERS = "payments.dead_letters"
PAYMENTS_REPLAYS = "payments.replays"
MERCHANTS_COMMANDS = "merchants.commands"
MERCHANTS_EVENTS = "merchants.events"
MERCHANTS = "merchants"
WEBHOOKS_DELIVERIES = "webhooks.deliveries"
WEBHOOKS_ATTEMPTS = "webhooks.attempts"
PAYOUTS_ITEMS = "payouts.items"
PAYOUTS_REQUESTS = "payouts.requests"
PAYOUTS_EVENTS = "payouts.events"
LEDGER_CHECKPOINTS = "ledger.checkpoints"
NETWORK_SETTLEMENTS = "network.settlements"
BANK_STATEMENTS = "bank.statements"
RECONCILIATION_REQUESTS = "reconciliation.requests"
RECONCILIATION_EVENTS = "reconciliation.events"
AUDIT_ACTIONS = "audit.actions"

RECORD_BYTES_MAX = 1_000_000
"""Largest record that any topic takes; brokers are set to the same."""


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a record's key and headers come from; `{name}` stands for a field of the record."""

    key: str
    id: str
    type: str
    time: str
    """Sum or difference of fields, in epoch milliseconds."""
    type_by_source: dict[str, str] = {}
    """Sources whose records carry another type text."""


_TIMESTAMP_TYPES = {"create": "CreateTime", "append": "LogAppendTime"}


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one topic is for and how it is created."""

    name: str
    purpose: str
    key: str
    record: str
    compatibility: Literal["backward"]
    writers: list[str]
    readers: list[str]
    partitions: int
    cleanup_policy: Literal["delete", "compact"]
    retention_ms: int
    timestamps: Literal["create", "append"] = "create"
    """`append`: the broker sets each record's time. Clients write there, and a time of theirs that
    is older than the topic's retention would let the record be deleted before it is read."""
    envelope: Envelope | None = None
    """None where a writer sets key and headers itself."""
    commands: dict[str, str] = {}
    """Kind -> source: the commands that are accepted from this topic, and who has issued them."""

    def broker_settings(self) -> dict[str, str]:
        """Topic settings as Kafka's CreateTopics takes them."""
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(RECORD_BYTES_MAX),
            "message.timestamp.type": _TIMESTAMP_TYPES[self.timestamps],
        }


def _load() -> dict[str, Topic]:
    found = {}
    for path in files("schemas").joinpath("topics").iterdir():
        if path.name.endswith(".yaml"):
            topic = msgspec.yaml.decode(path.read_bytes(), type=Topic)
            found[topic.name] = topic
    return dict(sorted(found.items()))


TOPICS: dict[str, Topic] = _load()
"""Topic name -> topic."""

PAYMENT_COMMAND_TOPICS: tuple[str, ...] = (
    PAYMENTS_NETWORK_RESULTS,
    PAYMENTS_NETWORK_NOTIFICATIONS,
    PAYMENTS_SETTLEMENTS,
    HISTORY_RESULTS,
    PAYMENTS_DEADLINES,
    PAYMENTS_OPERATOR_COMMANDS,
    PAYMENTS_COMMANDS,
    PAYMENTS_PRODUCER_COMMANDS,
)
"""Topics of payment commands, in the order in which one poll's records of a payment are decided.

What has happened comes before what is asked for: a capture sees the authorization that is there.
"""

CLIENT_COMMAND_TOPICS = frozenset({PAYMENTS_COMMANDS, PAYMENTS_PRODUCER_COMMANDS})
"""Topics whose records come from outside: what is not accepted there becomes a rejection."""
