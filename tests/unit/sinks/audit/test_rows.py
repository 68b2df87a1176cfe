"""Rows of the raw tables: as many values as columns, absent text empty, places kept."""

from typing import Any

import msgspec
import pytest

from runtime.backoff import Backoff
from schemas.records import (
    AuditAction,
    DeadLetter,
    PaymentEvent,
    PayoutEvent,
    ReconciliationEvent,
    Rejection,
    WebhookAttempt,
)
from sinks.audit.raw_table import KafkaPosition, Table
from sinks.audit.refused_tables import DEAD_LETTERS, REJECTIONS
from sinks.audit.store import DecodedRecord, rows_of
from sinks.audit.tables import (
    ACTIONS,
    LEDGER_ENTRIES,
    PAYMENT_EVENTS,
    PAYOUT_EVENTS,
    RECONCILED,
    TABLES,
    WEBHOOK_ATTEMPTS,
)

ORIGIN = KafkaPosition("payments.events", 3, 17, 1_795_000_000_000)

CAPTURED = PaymentEvent(
    event_id="pay_1-4",
    payment_id="pay_1",
    merchant_id="mer_1",
    mode="test",
    sequence=4,
    type="payment.captured",
    status="captured",
    command_id="cmd_1",
    command_kind="network_result",
    fingerprint="f",
    occurred_at_ms=1_795_000_000_000,
    source="network",
    currency="KWD",
    amount_minor=1000,
    fee_minor=40,
    requested_minor=1000,
    authorized_minor=1000,
    captured_minor=1000,
    refunded_minor=0,
    fees_minor=40,
    capture_method="automatic",
    fee_basis_points=150,
    fee_fixed_minor=25,
)
CREATED = PayoutEvent(
    event_id="po_1-1",
    payout_id="po_1",
    merchant_id="mer_1",
    mode="live",
    sequence=1,
    type="payout.created",
    status="created",
    currency="EUR",
    amount_minor=960,
    item_count=1,
    items=["pay_1-4"],
    request_id="req_1",
    occurred_at_ms=1,
)
ATTEMPT = WebhookAttempt(
    attempt_id="pay_1-4@we_1#1",
    delivery_id="pay_1-4@we_1",
    endpoint_id="we_1",
    merchant_id="mer_1",
    event_id="pay_1-4",
    payment_id="pay_1",
    attempt=1,
    result="failed",
    latency_ms=3,
    attempted_at_ms=1,
)
REJECTION = Rejection(
    rejection_id="payments.producer_commands/3/7",
    topic="payments.producer_commands",
    partition=3,
    offset=7,
    reason="signature_invalid",
    detail="The signature is not of this value and key.",
    value_bytes=300,
    value_sha256="0" * 64,
    recorded_at_ms=1 << 60,
    rejected_at_ms=1_700_000_000_000,
    merchant_id="mer_1",
)
LETTER = DeadLetter(
    source_app="sinks-audit",
    topic="payments.events",
    partition=0,
    offset=5,
    reason_code="undecodable",
    detail="no",
    headers={"traceparent": b"00-\xff"},
    value=b"\x00\xff",
    failed_at_ms=1,
)
SETTLED = ReconciliationEvent(
    event_id="rcn_1",
    subject_id="pay_1",
    sequence=1,
    type="line.settled",
    occurred_at_ms=1,
    merchant_id="mer_1",
    payment_id="pay_1",
    mode="live",
    line_id="line_1",
    currency="EUR",
    gross_minor=1000,
    fee_minor=12,
    expected_currency="EUR",
    expected_minor=1000,
)
ACT = AuditAction(
    action_id="mer_1-2",
    subject_id="mer_1",
    action="merchant.issue_api_key",
    outcome="applied",
    actor="operator:ada",
    source="api",
    occurred_at_ms=1,
    changes={"key_scopes": "read write"},
)
RECORDS: list[tuple[Table, Any]] = [
    (PAYMENT_EVENTS, CAPTURED),
    (LEDGER_ENTRIES, CAPTURED),
    (PAYOUT_EVENTS, CREATED),
    (LEDGER_ENTRIES, CREATED),
    (WEBHOOK_ATTEMPTS, ATTEMPT),
    (DEAD_LETTERS, LETTER),
    (REJECTIONS, REJECTION),
    (RECONCILED, SETTLED),
    (LEDGER_ENTRIES, SETTLED),
    (ACTIONS, ACT),
]


@pytest.mark.parametrize(
    ("table", "record"), RECORDS, ids=lambda each: getattr(each, "name", "") or str(each)[:60]
)
def test_every_row_has_a_value_per_column_and_its_origin(table: Table, record: Any) -> None:
    rows = list(table.rows(record, ORIGIN))
    assert rows
    assert {len(row) for row in rows} == {len(table.columns)}
    assert {row[-4:] for row in rows} == {ORIGIN.columns}


def test_every_table_is_tested_here() -> None:
    assert {table for table, _ in RECORDS} == set(TABLES)


def test_a_refused_create_with_an_unknown_currency_is_still_a_row() -> None:
    refused = msgspec.structs.replace(
        CAPTURED, type="command.rejected", currency="", reason="currency_invalid"
    )
    [row] = PAYMENT_EVENTS.rows(refused, ORIGIN)
    assert row[PAYMENT_EVENTS.columns.index(("currency_exponent", "UInt8"))] == 0
    assert list(LEDGER_ENTRIES.rows(refused, ORIGIN)) == []


def test_headers_of_a_dead_letter_that_are_not_text_are_escaped() -> None:
    [row] = DEAD_LETTERS.rows(LETTER, ORIGIN)
    assert row[7] == {"traceparent": "00-\\xff"}


def test_rows_of_a_batch_are_in_order_with_each_ones_offset() -> None:
    batch = [DecodedRecord(CAPTURED, ORIGIN._replace(offset=offset)) for offset in (7, 8)]
    rows = rows_of(LEDGER_ENTRIES, batch)
    assert [row[-2] for row in rows] == [7] * 5 + [8] * 5


def test_pauses_double_to_the_longest_and_start_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_seconds() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_seconds() == 0.5
