-- What operators and reconcilers look at.

CREATE OR REPLACE VIEW ${views}.dead_letters
(
    source_app LowCardinality(String) COMMENT 'Consumer group that gave up.',
    source_topic LowCardinality(String) COMMENT 'Topic of the record that could not be processed.',
    source_partition Int32 COMMENT 'Partition of that record.',
    source_offset Int64 COMMENT 'Offset of that record.',
    source_key String COMMENT 'Key of that record, if it is text.',
    reason_code LowCardinality(String) COMMENT 'Why, as a stable word.',
    detail String COMMENT 'Error class and message.',
    headers Map(String, String) COMMENT 'Headers of that record as text.',
    value_base64 String COMMENT 'Value of that record, base64.',
    failed_at DateTime64(3, 'UTC') COMMENT 'When the consumer gave up.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    source_app, source_topic, source_partition, source_offset, source_key, reason_code, detail,
    headers, base64Encode(value) AS value_base64, failed_at,
    kafka_topic, kafka_partition, kafka_offset, ingested_at
FROM ${raw}.dead_letters FINAL
COMMENT 'What could not be processed, and why.';

CREATE OR REPLACE VIEW ${views}.reconciliation_breaks
(
    break_id String COMMENT 'Identity of the difference.',
    kind LowCardinality(String) COMMENT 'missing_in_ledger, missing_in_report, amount, currency, duplicate, late.',
    state LowCardinality(String) COMMENT 'open, explained or closed.',
    merchant_id String COMMENT 'Merchant concerned; empty if unknown.',
    payment_id String COMMENT 'Payment concerned; empty if unknown.',
    network_reference String COMMENT 'The card network''s id of the line.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    ledger_minor Int64 COMMENT 'Amount in the ledger, minor units; 0 if missing.',
    ledger_decimal Decimal(38, 4) COMMENT 'ledger_minor as a decimal amount.',
    reported_minor Int64 COMMENT 'Amount in the report, minor units; 0 if missing.',
    reported_decimal Decimal(38, 4) COMMENT 'reported_minor as a decimal amount.',
    age_seconds Int64 COMMENT 'Time since it was found, seconds.',
    note String COMMENT 'What an operator wrote about it.',
    found_at DateTime64(3, 'UTC') COMMENT 'When the difference was found.',
    changed_at DateTime64(3, 'UTC') COMMENT 'When its state changed last.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    break_id, kind, state, merchant_id, payment_id, network_reference, currency,
    ledger_minor, toDecimal128(ledger_minor, 4) / intExp10(currency_exponent) AS ledger_decimal,
    reported_minor,
    toDecimal128(reported_minor, 4) / intExp10(currency_exponent) AS reported_decimal,
    dateDiff('second', found_at, now64(3)) AS age_seconds, note, found_at, changed_at
FROM ${raw}.reconciliation_breaks FINAL
COMMENT 'Differences between the ledger, the card network''s reports and the bank.';

CREATE OR REPLACE VIEW ${views}.funnel_hourly
(
    hour DateTime('UTC') COMMENT 'Hour in which the payments were created.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    created UInt64 COMMENT 'Payments created in that hour.',
    challenged UInt64 COMMENT 'Of these: asked for 3-D Secure.',
    authorized UInt64 COMMENT 'Of these: authorized.',
    captured UInt64 COMMENT 'Of these: captured, in part or in full.',
    settled UInt64 COMMENT 'Of these: settled.',
    declined UInt64 COMMENT 'Of these: declined by the issuer.',
    failed UInt64 COMMENT 'Of these: failed for a technical reason.',
    refunded UInt64 COMMENT 'Of these: refunded, in part or in full.',
    disputed UInt64 COMMENT 'Of these: disputed.',
    capture_rate Float64 COMMENT 'captured / created, 0 to 1.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH steps AS
(
    SELECT
        merchant_id, payment_id,
        any(e.mode) AS mode, argMin(e.currency, e.sequence) AS currency,
        minOrNullIf(occurred_at, type = 'payment.created') AS created_at,
        max(type = 'payment.requires_action') AS was_challenged,
        max(type = 'payment.authorized') AS was_authorized,
        max(type = 'payment.captured') AS was_captured,
        max(type = 'payment.settled') AS was_settled,
        max(type = 'payment.declined') AS was_declined,
        max(type = 'payment.failed') AS was_failed,
        max(type = 'refund.succeeded') AS was_refunded,
        max(type = 'dispute.opened') AS was_disputed
    FROM ${raw}.payment_events AS e
    GROUP BY merchant_id, payment_id
    HAVING created_at IS NOT NULL
)
SELECT
    toStartOfHour(assumeNotNull(created_at)) AS hour, mode, currency,
    count() AS created, sum(was_challenged) AS challenged, sum(was_authorized) AS authorized,
    sum(was_captured) AS captured, sum(was_settled) AS settled, sum(was_declined) AS declined,
    sum(was_failed) AS failed, sum(was_refunded) AS refunded, sum(was_disputed) AS disputed,
    captured / created AS capture_rate
FROM steps
GROUP BY hour, mode, currency
COMMENT 'How far the payments created in each hour came until now.';

CREATE OR REPLACE VIEW ${views}.network_health
(
    minute DateTime('UTC') COMMENT 'Minute in which the results came.',
    operation LowCardinality(String) COMMENT 'authorize, capture, refund or void.',
    results UInt64 COMMENT 'Results of the card network.',
    approved UInt64 COMMENT 'Approved, or a challenge was asked for.',
    declined UInt64 COMMENT 'Declined by the issuer.',
    failed UInt64 COMMENT 'Failed for a technical reason.',
    unknown UInt64 COMMENT 'Outcome unknown: the answer did not come.',
    decided_rate Float64 COMMENT '(approved + declined) / results, 0 to 1.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH results_only AS
(
    SELECT
        toStartOfMinute(occurred_at) AS minute,
        multiIf(operation != '', toString(operation),
            startsWith(type, 'refund.'), 'refund',
            type IN ('payment.captured', 'payment.capture_failed'), 'capture',
            type IN ('payment.voided', 'payment.void_failed'), 'void', 'authorize') AS kind,
        multiIf(
            type IN ('payment.authorized', 'payment.requires_action', 'payment.captured',
                'payment.voided', 'refund.succeeded'), 'approved',
            type = 'payment.declined', 'declined',
            type = 'payment.outcome_unknown', 'unknown', 'failed') AS outcome
    FROM ${raw}.payment_events FINAL
    WHERE command_kind = 'network_result' AND type IN ('payment.authorized',
        'payment.requires_action', 'payment.captured', 'payment.voided', 'refund.succeeded',
        'payment.declined', 'payment.outcome_unknown', 'payment.failed',
        'payment.capture_failed', 'payment.void_failed', 'refund.failed')
)
SELECT
    minute, kind AS operation, count() AS results, countIf(outcome = 'approved') AS approved,
    countIf(outcome = 'declined') AS declined, countIf(outcome = 'failed') AS failed,
    countIf(outcome = 'unknown') AS unknown, (approved + declined) / results AS decided_rate
FROM results_only
GROUP BY minute, operation
COMMENT 'What the card network answered, per minute and operation.';

CREATE OR REPLACE VIEW ${views}.freshness
(
    table_name LowCardinality(String) COMMENT 'View whose rows are meant.',
    kafka_topic LowCardinality(String) COMMENT 'Topic its rows come from.',
    partitions UInt64 COMMENT 'Partitions that gave rows.',
    last_event_at DateTime64(3, 'UTC') COMMENT 'Newest event time in the table.',
    last_ingested_at DateTime64(3, 'UTC') COMMENT 'Newest insert into the table.',
    delay_seconds Float64 COMMENT 'From the newest event to its insert, seconds.',
    idle_seconds Float64 COMMENT 'Since the newest insert, seconds.',
    last_offsets Map(Int32, Int64) COMMENT 'Partition -> highest offset that gave a row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    table_name, kafka_topic, uniqExact(p.kafka_partition) AS partitions,
    max(p.last_event_at) AS last_event_at, max(p.last_ingested_at) AS last_ingested_at,
    dateDiff('millisecond', last_event_at, last_ingested_at) / 1000 AS delay_seconds,
    dateDiff('millisecond', last_ingested_at, now64(3)) / 1000 AS idle_seconds,
    mapSort(CAST(groupArray((p.kafka_partition, p.last_offset)), 'Map(Int32, Int64)'))
        AS last_offsets
FROM
(
    SELECT table_name, kafka_topic, kafka_partition, max(last_offset) AS last_offset,
        max(last_event_at) AS last_event_at, max(last_ingested_at) AS last_ingested_at
    FROM ${raw}.progress
    GROUP BY table_name, kafka_topic, kafka_partition
) AS p
GROUP BY table_name, kafka_topic
COMMENT 'How far each table is.';
