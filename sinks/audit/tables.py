"""Records as rows of the raw tables: columns with their ClickHouse types, one function per record.

Times are epoch milliseconds, which is what a DateTime64(3) column takes; absent text is empty.
"""

from collections.abc import Iterable

from schemas.codec import encode
from schemas.money import EXPONENTS
from schemas.records import (
    AuditAction,
    PaymentEvent,
    PayoutEvent,
    ReconciliationEvent,
    WebhookAttempt,
)
from sinks.audit.ledger import entry_rows, transaction_for
from sinks.audit.raw_table import (
    LOW_CARDINALITY,
    POSITION_COLUMNS,
    TIME,
    KafkaPosition,
    Row,
    Table,
)
from sinks.audit.refused_tables import DEAD_LETTERS, REJECTIONS


def _decimals(currency: str) -> int:
    """0 for the currency of a refused create, which need not be one."""
    return EXPONENTS.get(currency, 0)


def _payment_event_rows(event: PaymentEvent, position: KafkaPosition) -> Iterable[Row]:
    yield (
        event.event_id,
        event.payment_id,
        event.merchant_id,
        event.mode,
        event.sequence,
        event.type,
        event.status,
        event.command_id,
        event.command_kind,
        event.source,
        event.occurred_at_ms,
        event.currency,
        _decimals(event.currency),
        event.amount_minor,
        event.fee_minor,
        event.requested_minor,
        event.authorized_minor,
        event.captured_minor,
        event.refunded_minor,
        event.fees_minor,
        event.capture_method,
        event.idempotency_key or "",
        event.reference or "",
        event.operation or "",
        event.operation_id or "",
        event.attempt or 0,
        event.network_reference or "",
        event.decline_code or "",
        event.refund_id or "",
        event.dispute_id or "",
        event.reason or "",
        event.due_at_ms,
        position.record or encode(event),
        *position.columns,
    )


def _ledger_rows(
    event: PaymentEvent | PayoutEvent | ReconciliationEvent, position: KafkaPosition
) -> Iterable[Row]:
    transaction = transaction_for(event)
    if transaction is None:
        return
    for row in entry_rows(transaction):
        yield (*row, _decimals(row.currency), *position.columns)


def _payout_event_rows(event: PayoutEvent, position: KafkaPosition) -> Iterable[Row]:
    yield (
        event.event_id,
        event.payout_id,
        event.merchant_id,
        event.mode,
        event.sequence,
        event.type,
        event.status,
        event.currency,
        _decimals(event.currency),
        event.amount_minor,
        event.item_count,
        event.items,
        event.request_id,
        event.occurred_at_ms,
        event.bank_account or "",
        event.bank_reference or "",
        event.attempt or 0,
        event.reason or "",
        position.record or encode(event),
        *position.columns,
    )


def _webhook_attempt_rows(attempt: WebhookAttempt, position: KafkaPosition) -> Iterable[Row]:
    yield (
        attempt.attempt_id,
        attempt.delivery_id,
        attempt.endpoint_id,
        attempt.merchant_id,
        attempt.event_id,
        attempt.payment_id,
        attempt.attempt,
        attempt.result,
        attempt.http_status or 0,
        attempt.error or "",
        attempt.latency_ms,
        attempt.attempted_at_ms,
        attempt.retry_after_seconds,
        *position.columns,
    )


def _reconciliation_event_rows(
    event: ReconciliationEvent, position: KafkaPosition
) -> Iterable[Row]:
    yield (
        event.event_id,
        event.subject_id,
        event.sequence,
        event.type,
        event.occurred_at_ms,
        event.merchant_id,
        event.payment_id,
        event.mode,
        event.line_id or "",
        event.report_id or "",
        event.network or "",
        event.line_kind or "",
        event.operation_id or "",
        event.network_reference or "",
        event.currency,
        _decimals(event.currency),
        event.gross_minor,
        event.fee_minor,
        event.expected_currency,
        _decimals(event.expected_currency),
        event.expected_minor,
        event.corrects or "",
        event.break_id or "",
        event.break_kind or "",
        event.break_state or "",
        event.break_version or 0,
        event.found_at_ms,
        event.actor or "",
        event.reason or "",
        position.record or encode(event),
        *position.columns,
    )


def _audit_action_rows(action: AuditAction, position: KafkaPosition) -> Iterable[Row]:
    yield (
        action.action_id,
        action.subject_id,
        action.action,
        action.outcome,
        action.actor,
        action.source,
        action.occurred_at_ms,
        action.merchant_id or "",
        action.mode or "",
        action.key_id or "",
        action.endpoint_id or "",
        action.justification or "",
        action.reason or "",
        action.changes,
        *position.columns,
    )


PAYMENT_EVENTS = Table(
    "payment_events",
    (
        ("event_id", "String"),
        ("payment_id", "String"),
        ("merchant_id", "String"),
        ("mode", LOW_CARDINALITY),
        ("sequence", "UInt64"),
        ("type", LOW_CARDINALITY),
        ("status", LOW_CARDINALITY),
        ("command_id", "String"),
        ("command_kind", LOW_CARDINALITY),
        ("source", LOW_CARDINALITY),
        ("occurred_at", TIME),
        ("currency", LOW_CARDINALITY),
        ("currency_exponent", "UInt8"),
        ("amount_minor", "Int64"),
        ("fee_minor", "Int64"),
        ("requested_minor", "Int64"),
        ("authorized_minor", "Int64"),
        ("captured_minor", "Int64"),
        ("refunded_minor", "Int64"),
        ("fees_minor", "Int64"),
        ("capture_method", LOW_CARDINALITY),
        ("idempotency_key", "String"),
        ("reference", "String"),
        ("operation", LOW_CARDINALITY),
        ("operation_id", "String"),
        ("attempt", "Int32"),
        ("network_reference", "String"),
        ("decline_code", LOW_CARDINALITY),
        ("refund_id", "String"),
        ("dispute_id", "String"),
        ("reason", LOW_CARDINALITY),
        ("due_at", f"Nullable({TIME})"),
        ("record", "String"),
        *POSITION_COLUMNS,
    ),
    _payment_event_rows,
)


LEDGER_ENTRIES = Table(
    "ledger_entries",
    (
        ("entry_id", "String"),
        ("transaction_id", "String"),
        ("leg", "UInt8"),
        ("transaction_type", LOW_CARDINALITY),
        ("account", LOW_CARDINALITY),
        ("state", LOW_CARDINALITY),
        ("merchant_id", "String"),
        ("payment_id", "String"),
        ("payout_id", "String"),
        ("mode", LOW_CARDINALITY),
        ("currency", LOW_CARDINALITY),
        ("amount_minor", "Int64"),
        ("occurred_at", TIME),
        ("currency_exponent", "UInt8"),
        *POSITION_COLUMNS,
    ),
    _ledger_rows,
)
PAYOUT_EVENTS = Table(
    "payout_events",
    (
        ("event_id", "String"),
        ("payout_id", "String"),
        ("merchant_id", "String"),
        ("mode", LOW_CARDINALITY),
        ("sequence", "UInt64"),
        ("type", LOW_CARDINALITY),
        ("status", LOW_CARDINALITY),
        ("currency", LOW_CARDINALITY),
        ("currency_exponent", "UInt8"),
        ("amount_minor", "Int64"),
        ("item_count", "UInt32"),
        ("items", "Array(String)"),
        ("request_id", "String"),
        ("occurred_at", TIME),
        ("bank_account", "String"),
        ("bank_reference", "String"),
        ("attempt", "Int32"),
        ("reason", LOW_CARDINALITY),
        ("record", "String"),
        *POSITION_COLUMNS,
    ),
    _payout_event_rows,
)
WEBHOOK_ATTEMPTS = Table(
    "webhook_attempts",
    (
        ("attempt_id", "String"),
        ("delivery_id", "String"),
        ("endpoint_id", "String"),
        ("merchant_id", "String"),
        ("event_id", "String"),
        ("payment_id", "String"),
        ("attempt", "UInt32"),
        ("result", LOW_CARDINALITY),
        ("http_status", "UInt16"),
        ("error", "String"),
        ("latency_ms", "Int64"),
        ("attempted_at", TIME),
        ("retry_after_seconds", "Nullable(Int64)"),
        *POSITION_COLUMNS,
    ),
    _webhook_attempt_rows,
)
RECONCILED = Table(
    "reconciliation_events",
    (
        ("event_id", "String"),
        ("subject_id", "String"),
        ("sequence", "UInt64"),
        ("type", LOW_CARDINALITY),
        ("occurred_at", TIME),
        ("merchant_id", "String"),
        ("payment_id", "String"),
        ("mode", LOW_CARDINALITY),
        ("line_id", "String"),
        ("report_id", "String"),
        ("network", LOW_CARDINALITY),
        ("line_kind", LOW_CARDINALITY),
        ("operation_id", "String"),
        ("network_reference", "String"),
        ("currency", LOW_CARDINALITY),
        ("currency_exponent", "UInt8"),
        ("gross_minor", "Int64"),
        ("fee_minor", "Int64"),
        ("expected_currency", LOW_CARDINALITY),
        ("own_exponent", "UInt8"),
        ("expected_minor", "Int64"),
        ("corrects", "String"),
        ("break_id", "String"),
        ("break_kind", LOW_CARDINALITY),
        ("break_state", LOW_CARDINALITY),
        ("break_version", "UInt32"),
        ("found_at", f"Nullable({TIME})"),
        ("actor", "String"),
        ("reason", "String"),
        ("record", "String"),
        *POSITION_COLUMNS,
    ),
    _reconciliation_event_rows,
)
ACTIONS = Table(
    "audit_actions",
    (
        ("action_id", "String"),
        ("subject_id", "String"),
        ("action", LOW_CARDINALITY),
        ("outcome", LOW_CARDINALITY),
        ("actor", "String"),
        ("source", LOW_CARDINALITY),
        ("occurred_at", TIME),
        ("merchant_id", "String"),
        ("mode", LOW_CARDINALITY),
        ("key_id", "String"),
        ("endpoint_id", "String"),
        ("justification", "String"),
        ("reason", LOW_CARDINALITY),
        ("changes", "Map(String, String)"),
        *POSITION_COLUMNS,
    ),
    _audit_action_rows,
)
TABLES = (
    PAYMENT_EVENTS,
    LEDGER_ENTRIES,
    PAYOUT_EVENTS,
    WEBHOOK_ATTEMPTS,
    DEAD_LETTERS,
    RECONCILED,
    REJECTIONS,
    ACTIONS,
)
"""Every raw table that the sink writes."""
