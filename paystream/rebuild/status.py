"""`paystream rebuild status`: Valkey's views and outcomes, rebuilt from payments.events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from runtime.clock import now_ms
from runtime.kafka import partitions_of, read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.settings import connections, load
from schemas.codec import UndecodableRecord, decode
from schemas.records import PaymentEvent
from schemas.topics import PAYMENTS_EVENTS
from sinks.status.documents import Document, outcomes, readable_view, views
from sinks.status.settings import StatusSettings
from sinks.status.store import StatusWriter

PASSES_MAX = 5
"""A view that the running sink wrote meanwhile without its beginning is folded again so often."""


class RebuildFailed(Exception):
    """Some views are still incomplete; the message says how many and what to do."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was written; views that were newer already are left as they were."""

    payments: int = 0
    written: int = 0
    outcomes: int = 0


async def rebuild_status(
    env: Mapping[str, str], on_partition: Callable[[int, int], None] = lambda done, of: None
) -> Rebuilt:
    """Rebuild every payment from its first event and write it unless Valkey has a newer view.

    Safe beside a running status sink. One partition's views are in memory at a time. Outcomes of
    commands of the last `outcome_seconds` get that time again. Raises TopicUnreadable,
    StatusStoreUnavailable, RebuildFailed, ConfigurationError.
    """
    at = connections(env).need("kafka_bootstrap_servers", "redis_url")
    settings = load(StatusSettings, "status", env)
    store = StatusWriter(at.valkey, settings)
    total = Rebuilt()
    try:
        partitions = partitions_of(at.kafka, PAYMENTS_EVENTS)
        for done, partition in enumerate(partitions, 1):
            rebuilt = await _partition(at.kafka, partition, store, settings)
            total = Rebuilt(
                payments=total.payments + rebuilt.payments,
                written=total.written + rebuilt.written,
                outcomes=total.outcomes + rebuilt.outcomes,
            )
            on_partition(done, len(partitions))
    finally:
        await store.close()
    return total


async def _partition(
    kafka: KafkaConnection, partition: int, store: StatusWriter, settings: StatusSettings
) -> Rebuilt:
    incomplete = 0
    for _ in range(PASSES_MAX):
        recent: list[PaymentEvent] = []
        since_ms = now_ms() - settings.outcome_seconds * 1000
        documents = views(_events(kafka, partition, since_ms, recent), {})
        written = await store.write(documents)
        ended = outcomes(recent)
        await store.write(ended, settings.outcome_seconds)
        incomplete = await _incomplete(store, documents)
        if not incomplete:
            return Rebuilt(payments=len(documents), written=written, outcomes=len(ended))
    raise RebuildFailed(
        f"{incomplete} views of partition {partition} change faster than they are rebuilt."
        " Run the command again."
    )


def _events(
    kafka: KafkaConnection, partition: int, since_ms: int, recent: list[PaymentEvent]
) -> Iterator[PaymentEvent]:
    for stored in read_topic(kafka, PAYMENTS_EVENTS, partitions=[partition]):
        try:
            event = decode(PaymentEvent, stored.value or b"")
        except UndecodableRecord:
            continue  # the status sink has put it into the dead letters
        if event.occurred_at_ms >= since_ms:
            recent.append(event)
        yield event


async def _incomplete(store: StatusWriter, documents: list[Document]) -> int:
    """How many views lack what only the first event says, though it is in the log."""
    whole = {d.key: msgspec.json.decode(d.text)["created_at_ms"] is not None for d in documents}
    standing = await store.read([key for key, known in whole.items() if known])
    views = [readable_view(text) for text in standing.values()]
    return sum(view is None or view.get("created_at_ms") is None for view in views)
