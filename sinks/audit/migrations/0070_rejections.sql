-- Clients' records that were not accepted as payment commands.

CREATE TABLE IF NOT EXISTS ${raw}.rejections
(
    rejection_id String COMMENT 'topic/partition/offset of the record.',
    source_topic LowCardinality(String) COMMENT 'Topic of the record that was not accepted.',
    source_partition Int32 COMMENT 'Partition of that record.',
    source_offset Int64 COMMENT 'Offset of that record.',
    reason LowCardinality(String) COMMENT 'Why, as a stable word.',
    detail String COMMENT 'What is wrong and what to do.',
    value_bytes Int64 COMMENT 'Size of that record''s value.',
    value_sha256 String COMMENT 'SHA-256 of that record''s value, hexadecimal.',
    recorded_at_ms Int64 COMMENT 'That record''s own time, epoch milliseconds; a client may have made it up.',
    rejected_at DateTime64(3, 'UTC') COMMENT 'When it was rejected.',
    command_id String COMMENT 'Of the command, if it could be read.',
    payment_id String COMMENT 'Of the command, if it could be read.',
    merchant_id String COMMENT 'Of the command, if it could be read; nothing proves it.',
    mode String COMMENT 'Of the command, if it could be read.',
    kind String COMMENT 'Of the command, if it could be read.',
    signature_key_id String COMMENT 'Key that the record names; empty if none.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(rejected_at)
ORDER BY (merchant_id, kafka_topic, kafka_partition, kafka_offset)
COMMENT 'One row per record of payments.rejections.';

CREATE OR REPLACE VIEW ${views}.rejections
(
    rejection_id String COMMENT 'topic/partition/offset of the record.',
    source_topic LowCardinality(String) COMMENT 'Topic of the record that was not accepted.',
    source_partition Int32 COMMENT 'Partition of that record.',
    source_offset Int64 COMMENT 'Offset of that record.',
    reason LowCardinality(String) COMMENT 'Why, as a stable word.',
    detail String COMMENT 'What is wrong and what to do.',
    value_bytes Int64 COMMENT 'Size of that record''s value.',
    value_sha256 String COMMENT 'SHA-256 of that record''s value, hexadecimal.',
    recorded_at_ms Int64 COMMENT 'That record''s own time, epoch milliseconds; a client may have made it up.',
    rejected_at DateTime64(3, 'UTC') COMMENT 'When it was rejected.',
    command_id String COMMENT 'Of the command, if it could be read.',
    payment_id String COMMENT 'Of the command, if it could be read.',
    merchant_id String COMMENT 'Of the command, if it could be read; nothing proves it.',
    mode String COMMENT 'Of the command, if it could be read.',
    kind String COMMENT 'Of the command, if it could be read.',
    signature_key_id String COMMENT 'Key that the record names; empty if none.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    rejection_id, source_topic, source_partition, source_offset, reason, detail, value_bytes,
    value_sha256, recorded_at_ms, rejected_at, command_id, payment_id, merchant_id, mode, kind,
    signature_key_id, kafka_topic, kafka_partition, kafka_offset, ingested_at
FROM ${raw}.rejections FINAL
COMMENT 'Clients'' records that were not accepted as payment commands, and why.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_rejections TO ${raw}.progress AS
SELECT 'rejections' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(rejected_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.rejections GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

ALTER TABLE ${raw}.progress_of_rejections
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';
