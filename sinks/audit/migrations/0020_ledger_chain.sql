-- The signed hash chain over the records of the events' topics (docs/decisions/0015).

ALTER TABLE ${raw}.payout_events ADD COLUMN IF NOT EXISTS
    record String CODEC(ZSTD(1))
    COMMENT 'The event as it stands on the topic; empty for rows of before this column.';

CREATE TABLE IF NOT EXISTS ${raw}.ledger_checkpoints
(
    kafka_topic LowCardinality(String) COMMENT 'Topic whose records are covered.',
    kafka_partition Int32 COMMENT 'Partition of it.',
    segment Int64 COMMENT 'Number of the segment: its first offset / 4096.',
    first_offset Int64 COMMENT 'The covered records are those from this offset on,',
    end_offset Int64 COMMENT 'to before this one; the longest checkpoint of a segment is valid.',
    records UInt32 COMMENT 'Number of records covered.',
    previous String COMMENT 'Value of the segment before, hexadecimal; zeros where a chain begins.',
    value String COMMENT 'Hash over previous and all offsets and leaves, hexadecimal.',
    key_id String COMMENT 'Key that signed: 16 digits of the SHA-256 of the public key.',
    signature String COMMENT 'Ed25519 signature of the statement, base64.',
    offsets Array(Int64) CODEC(Delta, ZSTD(1)) COMMENT 'Offset of each record.',
    leaves String COMMENT 'First 16 bytes of the SHA-256 of each record, in the same order.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree(end_offset)
ORDER BY (kafka_topic, kafka_partition, segment)
COMMENT 'Signed checkpoints of the hash chain of each topic partition.';

CREATE OR REPLACE VIEW ${views}.ledger_checkpoints
(
    kafka_topic LowCardinality(String) COMMENT 'Topic whose records are covered.',
    kafka_partition Int32 COMMENT 'Partition of it.',
    segment Int64 COMMENT 'Number of the segment: its first offset / 4096.',
    first_offset Int64 COMMENT 'The covered records are those from this offset on,',
    end_offset Int64 COMMENT 'to before this one.',
    complete UInt8 COMMENT '1: the whole segment is covered. 0: its beginning, until more records come.',
    records UInt32 COMMENT 'Number of records covered.',
    previous String COMMENT 'Value of the segment before, hexadecimal; zeros where a chain begins.',
    value String COMMENT 'Hash over previous and all offsets and leaves, hexadecimal.',
    key_id String COMMENT 'Key that signed: 16 digits of the SHA-256 of the public key.',
    signature String COMMENT 'Ed25519 signature of the statement, base64.',
    offsets Array(Int64) COMMENT 'Offset of each record.',
    leaves String COMMENT 'First 16 bytes of the SHA-256 of each record in the same order, hexadecimal.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    kafka_topic, kafka_partition, segment, first_offset, end_offset,
    end_offset = (segment + 1) * 4096 AS complete, records, previous, value, key_id, signature,
    offsets, lower(hex(leaves)) AS leaves, ingested_at
FROM ${raw}.ledger_checkpoints FINAL
COMMENT 'Signed checkpoints of the hash chain of each topic partition: `paystream verify --chain`.';

CREATE OR REPLACE VIEW ${views}.payout_events
(
    event_id String COMMENT 'Identity of the event: payout_id-sequence.',
    payout_id String COMMENT 'Payout, po_…',
    merchant_id String COMMENT 'Merchant who is paid, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    sequence UInt64 COMMENT 'Number of the event within its payout: 1, 2, 3…',
    type LowCardinality(String) COMMENT 'What happened, such as payout.paid.',
    status LowCardinality(String) COMMENT 'created, paid, failed or carried.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'Sum of the items, minor units.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount of the currency.',
    item_count UInt32 COMMENT 'Number of items.',
    items Array(String) COMMENT 'Item ids: events of payments, or earlier payouts; first event only.',
    request_id String COMMENT 'Request that caused the event.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the event happened.',
    bank_account String COMMENT 'Where the money goes.',
    bank_reference String COMMENT 'The bank''s id; empty until there is one.',
    attempt Int32 COMMENT 'Attempt at the bank; 0 if none.',
    reason LowCardinality(String) COMMENT 'Why the payout failed.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.',
    record String COMMENT 'The event as it stands on the topic (Avro in Confluent''s wire format), base64.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    event_id, payout_id, merchant_id, mode, sequence, type, status, currency,
    amount_minor, toDecimal128(amount_minor, 4) / intExp10(currency_exponent) AS amount_decimal,
    item_count, items, request_id, occurred_at, bank_account, bank_reference, attempt, reason,
    kafka_topic, kafka_partition, kafka_offset, ingested_at, base64Encode(record) AS record
FROM ${raw}.payout_events FINAL
COMMENT 'Every event of every payout, in the order of sequence within a payout.';
