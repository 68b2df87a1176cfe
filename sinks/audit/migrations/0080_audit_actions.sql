-- Administrative acts: who did what, when and why.

CREATE TABLE IF NOT EXISTS ${raw}.audit_actions
(
    action_id String COMMENT 'Identity of the act.',
    subject_id String COMMENT 'What it was done to: merchant, break or dead letter.',
    action LowCardinality(String) COMMENT 'What, such as merchant.issue_api_key or dead_letter.replayed.',
    outcome LowCardinality(String) COMMENT 'applied or refused.',
    actor String COMMENT 'Who: operator, operator:<name>, api_key:<key id> or registration.',
    source LowCardinality(String) COMMENT 'Writer of the request: api or operator.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was asked for.',
    merchant_id String COMMENT 'Merchant concerned; empty if none.',
    mode LowCardinality(String) COMMENT 'test or live; empty if it concerns neither or both.',
    key_id String COMMENT 'API key or producer key concerned, by its id; empty if none.',
    endpoint_id String COMMENT 'Webhook endpoint concerned; empty if none.',
    justification String COMMENT 'Why, in the words of the actor.',
    reason LowCardinality(String) COMMENT 'Why it was refused; empty if it was applied.',
    changes Map(String, String) COMMENT 'Name of a setting -> its new value; no secret.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (subject_id, action_id)
COMMENT 'One row per record of audit.actions.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_audit_actions TO ${raw}.progress AS
SELECT 'audit_actions' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(occurred_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.audit_actions GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

ALTER TABLE ${raw}.progress_of_audit_actions
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

CREATE OR REPLACE VIEW ${views}.audit_actions
(
    action_id String COMMENT 'Identity of the act.',
    subject_id String COMMENT 'What it was done to: merchant, break or dead letter.',
    action LowCardinality(String) COMMENT 'What, such as merchant.issue_api_key or dead_letter.replayed.',
    outcome LowCardinality(String) COMMENT 'applied or refused.',
    actor String COMMENT 'Who: operator, operator:<name>, api_key:<key id> or registration.',
    source LowCardinality(String) COMMENT 'Writer of the request: api or operator.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was asked for.',
    merchant_id String COMMENT 'Merchant concerned; empty if none.',
    mode LowCardinality(String) COMMENT 'test or live; empty if it concerns neither or both.',
    key_id String COMMENT 'API key or producer key concerned, by its id; empty if none.',
    endpoint_id String COMMENT 'Webhook endpoint concerned; empty if none.',
    justification String COMMENT 'Why, in the words of the actor.',
    reason LowCardinality(String) COMMENT 'Why it was refused; empty if it was applied.',
    changes Map(String, String) COMMENT 'Name of a setting -> its new value; no secret.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    action_id, subject_id, action, outcome, actor, source, occurred_at, merchant_id, mode, key_id,
    endpoint_id, justification, reason, changes, ingested_at
FROM ${raw}.audit_actions FINAL
COMMENT 'Administrative acts: who did what, when and why.';
