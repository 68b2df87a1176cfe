-- Each event whole, beside its columns: an archived payment comes back from these bytes.

ALTER TABLE ${raw}.payment_events ADD COLUMN IF NOT EXISTS
    record String CODEC(ZSTD(3))
    COMMENT 'The event as it stands on the topic; empty for rows of before this column.';

CREATE OR REPLACE VIEW ${views}.payment_events
(
    event_id String COMMENT 'Identity of the event: payment_id-sequence.',
    payment_id String COMMENT 'Payment, pay_…',
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    sequence UInt64 COMMENT 'Number of the event within its payment: 1, 2, 3…',
    type LowCardinality(String) COMMENT 'What happened, such as payment.captured.',
    status LowCardinality(String) COMMENT 'Main state of the payment after the event.',
    command_id String COMMENT 'Command that caused the event.',
    command_kind LowCardinality(String) COMMENT 'Kind of that command.',
    source LowCardinality(String) COMMENT 'Who issued that command.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that command was issued.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'What the event moves or asks for, minor units; 0 if nothing.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount of the currency.',
    fee_minor Int64 COMMENT 'Fee that the event adds, minor units.',
    fee_decimal Decimal(38, 4) COMMENT 'fee_minor as a decimal amount of the currency.',
    requested_minor Int64 COMMENT 'Amount of the payment as created, minor units.',
    authorized_minor Int64 COMMENT 'Authorized and not yet released after the event, minor units.',
    captured_minor Int64 COMMENT 'Captured in sum after the event, minor units.',
    refunded_minor Int64 COMMENT 'Refunded in sum after the event, minor units.',
    fees_minor Int64 COMMENT 'Fees in sum after the event, minor units.',
    capture_method LowCardinality(String) COMMENT 'automatic or manual.',
    idempotency_key String COMMENT 'Key of the create request.',
    reference String COMMENT 'The merchant''s own reference.',
    operation LowCardinality(String) COMMENT 'Network operation concerned; empty if none.',
    operation_id String COMMENT 'Idempotency key of that operation at the card network.',
    attempt Int32 COMMENT 'Attempt number of that operation; 0 if none.',
    network_reference String COMMENT 'The card network''s id of the operation.',
    decline_code LowCardinality(String) COMMENT 'Why the issuer declined; empty if it did not.',
    refund_id String COMMENT 'Refund concerned; empty if none.',
    dispute_id String COMMENT 'Dispute concerned; empty if none.',
    reason LowCardinality(String) COMMENT 'Why a command was rejected or an operation failed.',
    due_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Deadline that the event sets, if any.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.',
    record String COMMENT 'The event as it stands on the topic (Avro in Confluent''s wire format), base64; empty for rows of before this column.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    event_id, payment_id, merchant_id, mode, sequence, type, status, command_id, command_kind,
    source, occurred_at, currency,
    amount_minor, toDecimal128(amount_minor, 4) / intExp10(currency_exponent) AS amount_decimal,
    fee_minor, toDecimal128(fee_minor, 4) / intExp10(currency_exponent) AS fee_decimal,
    requested_minor, authorized_minor, captured_minor, refunded_minor, fees_minor,
    capture_method, idempotency_key, reference, operation, operation_id, attempt,
    network_reference, decline_code, refund_id, dispute_id, reason, due_at,
    kafka_topic, kafka_partition, kafka_offset, ingested_at, base64Encode(record) AS record
FROM ${raw}.payment_events FINAL
COMMENT 'Every event of every payment, in the order of sequence within a payment.';
