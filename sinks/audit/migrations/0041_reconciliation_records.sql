-- Reconciliation's events whole, beside their columns: the signed chain covers them (docs/decisions/0015).

ALTER TABLE ${raw}.reconciliation_events ADD COLUMN IF NOT EXISTS
    record String CODEC(ZSTD(1))
    COMMENT 'The event as it stands on the topic; empty for rows of before this column.';

CREATE OR REPLACE VIEW ${views}.reconciliation_events
(
    event_id String COMMENT 'Identity of the event; its ledger transaction has the same.',
    subject_id String COMMENT 'Payment, report, or line that names neither.',
    sequence UInt64 COMMENT 'Number of the event within its subject: 1, 2, 3…',
    type LowCardinality(String) COMMENT 'What happened, such as line.settled or break.opened.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'Time of the record that led to it.',
    merchant_id String COMMENT 'Merchant concerned, mer_…; empty if unknown.',
    payment_id String COMMENT 'Payment concerned; empty if unknown.',
    mode LowCardinality(String) COMMENT 'test or live; live if unknown.',
    line_id String COMMENT 'Line of the report or statement; empty if there is none.',
    report_id String COMMENT 'Settlement report; empty if there is none.',
    network LowCardinality(String) COMMENT 'Card network that reports.',
    line_kind LowCardinality(String) COMMENT 'capture, refund or deposit.',
    operation_id String COMMENT 'Operation concerned; empty if a whole report is.',
    network_reference String COMMENT 'The card network''s id of the authorization.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of gross_minor and fee_minor.',
    gross_minor Int64 COMMENT 'What the line or deposit says, minor units; 0 if there is none.',
    fee_minor Int64 COMMENT 'What the network keeps of it, minor units.',
    expected_currency LowCardinality(String) COMMENT 'ISO 4217 code of expected_minor.',
    expected_minor Int64 COMMENT 'What we expected, minor units; 0 if nothing.',
    corrects String COMMENT 'Event whose transaction this one corrects; empty if none.',
    break_id String COMMENT 'Break that is opened or moved; empty if none.',
    break_kind LowCardinality(String) COMMENT 'How the two sides differ.',
    break_state LowCardinality(String) COMMENT 'State of the break after the event.',
    break_version UInt32 COMMENT 'Counts the changes of the break: 1, 2, 3…; 0 if none.',
    found_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the break was found.',
    actor String COMMENT 'Who moved the break.',
    reason String COMMENT 'Why.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.',
    record String COMMENT 'The event as it stands on the topic (Avro in Confluent''s wire format), base64.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    event_id, subject_id, sequence, type, occurred_at, merchant_id, payment_id, mode, line_id,
    report_id, network, line_kind, operation_id, network_reference, currency,
    gross_minor, fee_minor, expected_currency, expected_minor, corrects, break_id, break_kind,
    break_state, break_version, found_at, actor, reason, kafka_topic, kafka_partition,
    kafka_offset, ingested_at, base64Encode(record) AS record
FROM ${raw}.reconciliation_events FINAL
COMMENT 'Every event of reconciliation, in the order of sequence within a subject.';
