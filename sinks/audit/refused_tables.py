"""Raw tables of records that had no effect: dead letters, and clients' rejected records."""

from collections.abc import Iterable

from runtime.dead_letters import source_headers
from schemas.records import DeadLetter, Rejection
from sinks.audit.raw_table import LOW_CARDINALITY, POSITION_COLUMNS, TIME, KafkaPosition, Row, Table


def _dead_letter_rows(letter: DeadLetter, position: KafkaPosition) -> Iterable[Row]:
    yield (
        letter.source_app,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key or "",
        letter.reason_code,
        letter.detail,
        {
            name: (text or b"").decode("utf-8", "backslashreplace")
            for name, text in source_headers(letter)
        },
        letter.value or b"",
        letter.failed_at_ms,
        *position.columns,
    )


def _rejection_rows(rejection: Rejection, position: KafkaPosition) -> Iterable[Row]:
    yield (
        rejection.rejection_id,
        rejection.topic,
        rejection.partition,
        rejection.offset,
        rejection.reason,
        rejection.detail,
        rejection.value_bytes,
        rejection.value_sha256,
        rejection.recorded_at_ms,
        rejection.rejected_at_ms,
        rejection.command_id or "",
        rejection.payment_id or "",
        rejection.merchant_id or "",
        rejection.mode or "",
        rejection.kind or "",
        rejection.signature_key_id or "",
        *position.columns,
    )


DEAD_LETTERS = Table(
    "dead_letters",
    (
        ("source_app", LOW_CARDINALITY),
        ("source_topic", LOW_CARDINALITY),
        ("source_partition", "Int32"),
        ("source_offset", "Int64"),
        ("source_key", "String"),
        ("reason_code", LOW_CARDINALITY),
        ("detail", "String"),
        ("headers", "Map(String, String)"),
        ("value", "String"),
        ("failed_at", TIME),
        *POSITION_COLUMNS,
    ),
    _dead_letter_rows,
)
REJECTIONS = Table(
    "rejections",
    (
        ("rejection_id", "String"),
        ("source_topic", LOW_CARDINALITY),
        ("source_partition", "Int32"),
        ("source_offset", "Int64"),
        ("reason", LOW_CARDINALITY),
        ("detail", "String"),
        ("value_bytes", "Int64"),
        ("value_sha256", "String"),
        ("recorded_at_ms", "Int64"),
        ("rejected_at", TIME),
        ("command_id", "String"),
        ("payment_id", "String"),
        ("merchant_id", "String"),
        ("mode", "String"),
        ("kind", "String"),
        ("signature_key_id", "String"),
        *POSITION_COLUMNS,
    ),
    _rejection_rows,
)
