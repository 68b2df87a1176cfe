-- How far each table is. max() of the same rows twice is the same: inserting again changes nothing.

CREATE TABLE IF NOT EXISTS ${raw}.progress
(
    table_name LowCardinality(String) COMMENT 'Table of this database.',
    kafka_topic LowCardinality(String) COMMENT 'Topic its rows were read from.',
    kafka_partition Int32 COMMENT 'Partition its rows were read from.',
    last_offset SimpleAggregateFunction(max, Int64) COMMENT 'Highest offset that gave a row.',
    last_event_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest event time.',
    last_ingested_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest insert.'
)
ENGINE = AggregatingMergeTree
ORDER BY (table_name, kafka_topic, kafka_partition)
COMMENT 'Newest row of each table per topic partition, kept by materialized views.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_payment_events TO ${raw}.progress AS
SELECT 'payment_events' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(occurred_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.payment_events GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_ledger_entries TO ${raw}.progress AS
SELECT 'ledger_entries' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(occurred_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.ledger_entries GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_payout_events TO ${raw}.progress AS
SELECT 'payout_events' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(occurred_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.payout_events GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_webhook_attempts TO ${raw}.progress AS
SELECT 'webhook_attempts' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(attempted_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.webhook_attempts GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_dead_letters TO ${raw}.progress AS
SELECT 'dead_letters' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(failed_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.dead_letters GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';
