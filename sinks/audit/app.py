"""Composition root of the audit sink: six topics in, rows in ClickHouse out.

Offsets are committed after ClickHouse acknowledged the rows; a batch that comes again inserts the
same rows, which no view shows twice (docs/decisions/0005-exactly-once-ledger.md).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from engine import Batch, BatchStream, EngineApp, Retry
from runtime import log
from runtime.backoff import Backoff
from runtime.kafka import TopicUnreadable
from runtime.settings import connections, load
from schemas.codec import UndecodableRecord, decode
from schemas.records import (
    AuditAction,
    DeadLetter,
    PaymentEvent,
    PayoutEvent,
    ReconciliationEvent,
    Rejection,
    WebhookAttempt,
)
from schemas.topics import (
    AUDIT_ACTIONS,
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_EVENTS,
    PAYMENTS_REJECTIONS,
    PAYOUTS_EVENTS,
    RECONCILIATION_EVENTS,
    WEBHOOKS_ATTEMPTS,
)
from sinks.audit.batch_writer import LedgerWriter
from sinks.audit.chain.setup import checkpoint_tails_regularly, new_checkpoint_writer, publish
from sinks.audit.freshness import report_lag
from sinks.audit.inserts import BuildInserts, payments_by_column, row_by_row
from sinks.audit.ledger import UnbalancedTransaction
from sinks.audit.raw_table import KafkaPosition, Table
from sinks.audit.refused_tables import DEAD_LETTERS, REJECTIONS
from sinks.audit.settings import AuditSettings
from sinks.audit.store import DecodedRecord, LedgerStore, LedgerUnavailable, rows_of
from sinks.audit.tables import (
    ACTIONS,
    LEDGER_ENTRIES,
    PAYMENT_EVENTS,
    PAYOUT_EVENTS,
    RECONCILED,
    WEBHOOK_ATTEMPTS,
)
from workers.app import new_app

APP_ID = "sinks-audit"
SOURCES: dict[str, tuple[type[Any], tuple[Table, ...]]] = {
    PAYMENTS_EVENTS: (PaymentEvent, (PAYMENT_EVENTS, LEDGER_ENTRIES)),
    PAYOUTS_EVENTS: (PayoutEvent, (PAYOUT_EVENTS, LEDGER_ENTRIES)),
    WEBHOOKS_ATTEMPTS: (WebhookAttempt, (WEBHOOK_ATTEMPTS,)),
    PAYMENTS_DEAD_LETTERS: (DeadLetter, (DEAD_LETTERS,)),
    RECONCILIATION_EVENTS: (ReconciliationEvent, (RECONCILED, LEDGER_ENTRIES)),
    PAYMENTS_REJECTIONS: (Rejection, (REJECTIONS,)),
    AUDIT_ACTIONS: (AuditAction, (ACTIONS,)),
}
"""Topic -> the record in it and the tables that its records make rows of."""

_LOG = log.get(__name__)


def build_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The sink as a worker of group sinks-audit.

    Needs KAFKA_BOOTSTRAP_SERVERS and CLICKHOUSE_URL. Raises ConfigurationError.
    """
    settings = load(AuditSettings, "audit", env)
    known = connections(env).need("kafka_bootstrap_servers", "clickhouse_url")
    app = new_app(APP_ID, instance_id, env, **settings.engine)
    store = LedgerStore(known.clickhouse, settings.databases, settings.insert_timeout_seconds)
    checkpoint_writer = new_checkpoint_writer(app, settings, env, makes_rows)
    writer = LedgerWriter(store, settings.insert_records_max, checkpoint_writer)
    attach(app, writer, settings)
    checkpoint_tails_regularly(app, writer.checkpoint_tails, settings.checkpoint_interval_seconds)
    report_lag(app, known.clickhouse, settings)
    return app


def attach(app: EngineApp, writer: LedgerWriter, settings: AuditSettings) -> None:
    """Give the app one agent per topic, and a check of the schema at its start."""
    backoff = Backoff(settings.retry_seconds, settings.retry_seconds_max)
    for name, (record, tables) in SOURCES.items():
        whole = name == PAYMENTS_EVENTS  # decoded by column, not one by one
        topic = app.batch_topic(
            name,
            decode=_whole if whole else partial(decode, record),
            decode_errors=(UndecodableRecord,),
        )
        build_inserts = payments_by_column if whole else row_by_row(tables)
        agent = _agent(writer, build_inserts, backoff)
        app.agent(topic, name=f"{APP_ID}-{name}", merge_partitions=True)(agent)

    @app.task
    async def check_schema() -> None:
        await writer.check_schema()


def makes_rows(topic: str, value: bytes) -> bool:
    """Whether the sink makes rows of the record, rather than a dead letter."""
    record, tables = SOURCES[topic]
    try:
        found = DecodedRecord(decode(record, value), KafkaPosition(topic, 0, 0, 0, value))
        for table in tables:
            rows_of(table, [found])
    except (UndecodableRecord, UnbalancedTransaction):
        return False
    return True


class PlacedRecord(NamedTuple):
    """A record with the place that its rows get."""

    value: Any
    partition: int
    offset: int
    raw: bytes


class PlacedBatch(NamedTuple):
    """Records of one topic."""

    topic: str
    records: Sequence[PlacedRecord]


def placed(batch: Batch) -> Batch | PlacedBatch:
    """The batch; a replay has the place of its copy.

    Its first place may be under a signed checkpoint, which a row that comes later must not change.
    """
    record = batch.records[0] if batch.records else None
    if record is None or record.replay is None:
        return batch
    topic, partition, offset = record.replay
    return PlacedBatch(topic, [PlacedRecord(record.value, partition, offset, record.raw)])


def _whole(value: bytes | None) -> bytes:
    """The record as it is. Raises UndecodableRecord for none."""
    if value is None:
        raise UndecodableRecord("The record has no value: a tombstone is not an event.")
    return value


def _agent(
    writer: LedgerWriter, build_inserts: BuildInserts, backoff: Backoff
) -> Callable[[BatchStream], Awaitable[None]]:
    async def insert(stream: BatchStream) -> None:
        async for batch in stream:
            try:
                publish(batch, await writer.write(placed(batch), build_inserts))
            except (LedgerUnavailable, TopicUnreadable) as error:
                delay_seconds = backoff.next_seconds()
                _LOG.warning("ledger_insert_retried", error=str(error), seconds=delay_seconds)
                raise Retry(delay_seconds, str(error)) from error
            backoff.reset()

    return insert
