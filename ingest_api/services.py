"""Settings and adapters of one API process; started and stopped together."""

import asyncio
from collections.abc import Mapping

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
from ingest_api.http.notification_signature import NotificationGuard
from ingest_api.http.rate_limit import RateLimiter
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
        self.limiter = RateLimiter(settings.requests_per_second, settings.request_burst)
        self.notification_guard = NotificationGuard(
            connections.network_notification_secret, settings.notification_age_seconds_max
        )
        self.card_key = CardKey(connections.network_url, settings.jwks_seconds)
        self.draining = False
        telemetry.gauge("paystream_api_outstanding_records").set_function(
            lambda: self.producer.outstanding_records
        )

    @property
    def ready(self) -> bool:
        """Accepts requests: keys are known, the producer works, no shutdown has begun."""
        sound = self.live and self.partitions.problem is None
        return sound and self.registry.ready and not self.draining

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
