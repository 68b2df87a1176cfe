"""Settings and adapters of one API process; started and stopped together."""

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from ingest_api.card_encryption_key import CardKey
from ingest_api.commands.idempotency import IdempotencyKeys
from ingest_api.commands.network_notifications import NetworkNotifications
from ingest_api.commands.outcome_waiter import OutcomeWaiter
from ingest_api.commands.payment_reader import PaymentReader
from ingest_api.commands.producer import CommandProducer
from ingest_api.commands.publisher import Publisher
from ingest_api.commands.status_store import StatusStore
from ingest_api.commands.submission import PaymentCommands
from ingest_api.http.authentication import Authenticator
from ingest_api.http.early_refusals import EarlyRefusals
from ingest_api.http.notification_signature import NotificationGuard
from ingest_api.limits.limiter import Limiter
from ingest_api.limits.request_limits import RequestLimits
from ingest_api.merchants.administration import Administration
from ingest_api.merchants.keys import MerchantKeys
from ingest_api.merchants.merchant_commands import MerchantCommands
from ingest_api.merchants.registration import Registration
from ingest_api.settings import ApiSettings
from runtime import telemetry
from runtime.kafka import producer_settings
from runtime.merchant_registry import MerchantRegistry
from runtime.partition_watch import PartitionWatch
from runtime.settings import Connections, connections, load
from schemas.topics import MERCHANTS_COMMANDS, PAYMENT_COMMAND_TOPICS, PAYMENTS_EVENTS
from schemas.urls import TargetRules


class Readiness(Struct, frozen=True, kw_only=True):
    """Why requests should or should not come here. Valkey is reported; no request needs it."""

    ready: bool
    reasons: list[str]
    kafka: str
    registry: str
    registry_age_seconds: float | None
    """Since Kafka last said where the merchants' topic ends; null before it did."""
    valkey: str
    draining: bool


class Services:
    """Settings and adapters of one process. Create it on the event loop that serves."""

    def __init__(self, settings: ApiSettings, connections: Connections) -> None:
        self.settings = settings
        self.connections = connections
        self.producer = CommandProducer(
            producer_settings(connections.kafka)
            | {
                "linger.ms": settings.linger_ms,
                "delivery.timeout.ms": round(settings.delivery_timeout_seconds * 1000),
                "queue.buffering.max.messages": settings.outstanding_records_max,
            },
            settings.outstanding_records_max,
            settings.acknowledge_seconds_max,
        )
        self.registry = MerchantRegistry(connections.kafka, "ingest-api-registry")
        self.store = StatusStore(connections.valkey, settings)
        self.partitions = PartitionWatch(
            connections.kafka, [*PAYMENT_COMMAND_TOPICS, PAYMENTS_EVENTS, MERCHANTS_COMMANDS]
        )
        self.publisher = Publisher(self.producer, lambda: self.partitions.problem)
        self.outcome_waiter = OutcomeWaiter(self.store, settings)
        self.payment_commands = PaymentCommands(self.publisher, self.store, self.outcome_waiter)
        self.payment_reader = PaymentReader(self.store)
        self.notifications = NetworkNotifications(self.publisher, self.payment_reader)
        self.authenticator = Authenticator(self.registry, connections.admin_token)
        commands = MerchantCommands(
            self.publisher, self.registry, settings.registration_wait_seconds
        )
        self.registration = Registration(
            commands, connections.paystream_master_key, is_open=settings.open_registration
        )
        self.merchant_keys = MerchantKeys(commands)
        self.administration = Administration(commands)
        self.idempotency_keys = IdempotencyKeys(self.store)
        self.target_rules = TargetRules(
            allow_loopback=settings.allow_loopback,
            allow_private_addresses=settings.allow_private_addresses,
        )
        self.limits = RequestLimits(Limiter(self.store.count), settings)
        self.early_refusals = EarlyRefusals()
        self.notification_guard = NotificationGuard(
            connections.network_notification_secret, settings.notification_age_seconds_max
        )
        self.card_key = CardKey(connections.network_url, settings.jwks_seconds)
        self.draining = False
        telemetry.gauge("paystream_api_outstanding_records").set_function(
            lambda: self.producer.outstanding_records
        )

    @property
    def readiness(self) -> Readiness:
        """Whether requests should come here, and what each part says."""
        silent_seconds = self.registry.age_seconds
        answers = silent_seconds < self.settings.kafka_silent_seconds_max
        reasons = {
            "The producer cannot send any more. Restart this process.": not self.live,
            "The merchants are not all read yet.": not self.registry.ready,
            "Kafka does not answer.": not answers,
            self.partitions.problem or "": self.partitions.problem is not None,
            "This process is about to end.": self.draining,
        }
        return Readiness(
            ready=not any(reasons.values()),
            reasons=[text for text, holds in reasons.items() if holds],
            kafka="answers" if answers else "silent",
            registry="read" if self.registry.ready else "reading",
            registry_age_seconds=None
            if silent_seconds == float("inf")
            else round(silent_seconds, 1),
            valkey="answers" if self.store.answers else "paused",
            draining=self.draining,
        )

    @property
    def live(self) -> bool:
        """A restart would not help."""
        return self.producer.fatal is None

    def start(self) -> None:
        """Begin to follow merchants; `ready` says when they are known."""
        self.registry.start()
        self.partitions.start()

    async def stop(self, seconds: float) -> int:
        """Flush and close; returns how many records were not acknowledged in time."""
        self.partitions.stop()
        left = await self.producer.stop(seconds)
        await self.store.stop()
        await self.card_key.stop()
        await asyncio.to_thread(self.registry.stop)
        return left


def services_from_environment(env: Mapping[str, str]) -> tuple[ApiSettings, Connections]:
    """Raises ConfigurationError with the variables that are missing."""
    required = connections(env).need("kafka_bootstrap_servers", "redis_url", "paystream_master_key")
    return load(ApiSettings, "api", env), required
