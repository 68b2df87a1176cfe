-- Payments and what happened to them.

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
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
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
    kafka_topic, kafka_partition, kafka_offset, ingested_at
FROM ${raw}.payment_events FINAL
COMMENT 'Every event of every payment, in the order of sequence within a payment.';

CREATE OR REPLACE VIEW ${views}.payments
(
    payment_id String COMMENT 'Payment, pay_…',
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    status LowCardinality(String) COMMENT 'Main state now.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    requested_minor Int64 COMMENT 'Amount as created, minor units.',
    requested_decimal Decimal(38, 4) COMMENT 'requested_minor as a decimal amount.',
    authorized_minor Int64 COMMENT 'Authorized and not yet released, minor units.',
    authorized_decimal Decimal(38, 4) COMMENT 'authorized_minor as a decimal amount.',
    captured_minor Int64 COMMENT 'Captured in sum, minor units.',
    captured_decimal Decimal(38, 4) COMMENT 'captured_minor as a decimal amount.',
    refunded_minor Int64 COMMENT 'Refunded in sum, minor units.',
    refunded_decimal Decimal(38, 4) COMMENT 'refunded_minor as a decimal amount.',
    fees_minor Int64 COMMENT 'Fees in sum, minor units.',
    fees_decimal Decimal(38, 4) COMMENT 'fees_minor as a decimal amount.',
    net_minor Int64 COMMENT 'Captured less refunds and fees, minor units.',
    net_decimal Decimal(38, 4) COMMENT 'net_minor as a decimal amount.',
    capture_method LowCardinality(String) COMMENT 'automatic or manual.',
    idempotency_key String COMMENT 'Key of the create request.',
    reference String COMMENT 'The merchant''s own reference.',
    decline_code LowCardinality(String) COMMENT 'Why the issuer declined; empty if it did not.',
    last_event_type LowCardinality(String) COMMENT 'Newest event.',
    sequence UInt64 COMMENT 'Sequence of the newest event.',
    created_at DateTime64(3, 'UTC') COMMENT 'When the payment was created.',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the newest event happened.',
    authorized_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was authorized, if it was.',
    captured_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was first captured, if it was.',
    settled_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was settled, if it was.',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the newest event.',
    kafka_partition Int32 COMMENT 'Partition of the newest event.',
    kafka_offset Int64 COMMENT 'Offset of the newest event.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the newest event was inserted.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH latest AS
(
    -- argMax, min and max of a row seen twice are the same: no FINAL is needed here.
    SELECT
        payment_id, merchant_id,
        max(sequence) AS newest,
        argMax((mode, status, currency, currency_exponent, requested_minor, authorized_minor,
            captured_minor, refunded_minor, fees_minor, capture_method, idempotency_key,
            reference, type, occurred_at, kafka_topic, kafka_partition, kafka_offset,
            ingested_at), sequence) AS state,
        argMaxIf(decline_code, sequence, decline_code != '') AS last_decline_code,
        minOrNullIf(occurred_at, type = 'payment.created') AS first_created_at,
        minOrNullIf(occurred_at, type = 'payment.authorized') AS first_authorized_at,
        minOrNullIf(occurred_at, type = 'payment.captured') AS first_captured_at,
        minOrNullIf(occurred_at, type = 'payment.settled') AS first_settled_at
    FROM ${raw}.payment_events
    GROUP BY merchant_id, payment_id
    HAVING first_created_at IS NOT NULL
)
SELECT
    payment_id, merchant_id, state.1 AS mode, state.2 AS status, state.3 AS currency,
    state.5 AS requested_minor,
    toDecimal128(state.5, 4) / intExp10(state.4) AS requested_decimal,
    state.6 AS authorized_minor,
    toDecimal128(state.6, 4) / intExp10(state.4) AS authorized_decimal,
    state.7 AS captured_minor,
    toDecimal128(state.7, 4) / intExp10(state.4) AS captured_decimal,
    state.8 AS refunded_minor,
    toDecimal128(state.8, 4) / intExp10(state.4) AS refunded_decimal,
    state.9 AS fees_minor,
    toDecimal128(state.9, 4) / intExp10(state.4) AS fees_decimal,
    state.7 - state.8 - state.9 AS net_minor,
    toDecimal128(state.7 - state.8 - state.9, 4) / intExp10(state.4) AS net_decimal,
    state.10 AS capture_method, state.11 AS idempotency_key, state.12 AS reference,
    last_decline_code AS decline_code, state.13 AS last_event_type, newest AS sequence,
    assumeNotNull(first_created_at) AS created_at, state.14 AS updated_at,
    first_authorized_at AS authorized_at, first_captured_at AS captured_at,
    first_settled_at AS settled_at,
    state.15 AS kafka_topic, state.16 AS kafka_partition, state.17 AS kafka_offset,
    state.18 AS ingested_at
FROM latest
COMMENT 'One row per payment: its state after its newest event.';

CREATE OR REPLACE VIEW ${views}.refunds
(
    refund_id String COMMENT 'Refund, ref_…',
    payment_id String COMMENT 'Payment that is refunded.',
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    status LowCardinality(String) COMMENT 'requested, succeeded or failed.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'Minor units.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount.',
    reason LowCardinality(String) COMMENT 'Why it failed; empty if it did not.',
    requested_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was asked for.',
    finished_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it succeeded or failed.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH latest AS
(
    SELECT
        refund_id, payment_id, merchant_id,
        argMax((mode, substring(toString(type), 8), currency, currency_exponent, amount_minor,
            reason), sequence) AS state,
        minOrNullIf(occurred_at, type = 'refund.requested') AS asked_at,
        maxOrNullIf(occurred_at, type IN ('refund.succeeded', 'refund.failed')) AS ended_at
    FROM ${raw}.payment_events
    WHERE refund_id != '' AND type IN ('refund.requested', 'refund.succeeded', 'refund.failed')
    GROUP BY merchant_id, payment_id, refund_id
)
SELECT
    refund_id, payment_id, merchant_id, state.1 AS mode, state.2 AS status, state.3 AS currency,
    state.5 AS amount_minor, toDecimal128(state.5, 4) / intExp10(state.4) AS amount_decimal,
    state.6 AS reason, asked_at AS requested_at, ended_at AS finished_at
FROM latest
COMMENT 'One row per refund: its state after its newest event.';

CREATE OR REPLACE VIEW ${views}.disputes
(
    dispute_id String COMMENT 'Dispute (chargeback), dsp_…',
    payment_id String COMMENT 'Payment that is disputed.',
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    status LowCardinality(String) COMMENT 'opened, won or lost (by the merchant).',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'Minor units.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount.',
    opened_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was opened.',
    closed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was won or lost.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH latest AS
(
    SELECT
        dispute_id, payment_id, merchant_id,
        argMax((mode, substring(toString(type), 9), currency, currency_exponent, amount_minor),
            sequence) AS state,
        minOrNullIf(occurred_at, type = 'dispute.opened') AS began_at,
        maxOrNullIf(occurred_at, type IN ('dispute.won', 'dispute.lost')) AS ended_at
    FROM ${raw}.payment_events
    WHERE dispute_id != '' AND type IN ('dispute.opened', 'dispute.won', 'dispute.lost')
    GROUP BY merchant_id, payment_id, dispute_id
)
SELECT
    dispute_id, payment_id, merchant_id, state.1 AS mode, state.2 AS status, state.3 AS currency,
    state.5 AS amount_minor, toDecimal128(state.5, 4) / intExp10(state.4) AS amount_decimal,
    began_at AS opened_at, ended_at AS closed_at
FROM latest
COMMENT 'One row per dispute: its state after its newest event.';
