-- How far the sink is behind Kafka, as the sink itself saw it.

CREATE TABLE IF NOT EXISTS ${raw}.source_lag
(
    kafka_topic LowCardinality(String) COMMENT 'Topic that the sink reads.',
    kafka_partition Int32 COMMENT 'Partition of it.',
    lag_records Int64 COMMENT 'Offsets with records that the sink had not yet committed.',
    seen_at DateTime64(3, 'UTC') COMMENT 'When the sink looked; the newest row is valid.'
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (kafka_topic, kafka_partition)
COMMENT 'What the sink says about its lag, every few seconds.';

CREATE OR REPLACE VIEW ${views}.freshness
(
    table_name LowCardinality(String) COMMENT 'View whose rows are meant.',
    kafka_topic LowCardinality(String) COMMENT 'Topic its rows come from.',
    partitions UInt64 COMMENT 'Partitions that gave rows.',
    last_event_at DateTime64(3, 'UTC') COMMENT 'Newest event time in the table.',
    last_ingested_at DateTime64(3, 'UTC') COMMENT 'Newest insert into the table.',
    delay_seconds Float64 COMMENT 'From the newest event to its insert, seconds.',
    idle_seconds Float64 COMMENT 'Since the newest insert, seconds.',
    last_offsets Map(Int32, Int64) COMMENT 'Partition -> highest offset that gave a row.',
    lag_records Nullable(Int64) COMMENT 'Records in Kafka that were not yet inserted when the sink looked; NULL if it never did.',
    lag_age_seconds Nullable(Float64) COMMENT 'Since the sink looked last, seconds; more than a minute: it does not run.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    p.table_name AS table_name, p.kafka_topic AS kafka_topic,
    uniqExact(p.kafka_partition) AS partitions,
    max(p.last_event_at) AS last_event_at, max(p.last_ingested_at) AS last_ingested_at,
    dateDiff('millisecond', last_event_at, last_ingested_at) / 1000 AS delay_seconds,
    dateDiff('millisecond', last_ingested_at, now64(3)) / 1000 AS idle_seconds,
    mapSort(CAST(groupArray((p.kafka_partition, p.last_offset)), 'Map(Int32, Int64)'))
        AS last_offsets,
    any(l.behind) AS lag_records,
    dateDiff('millisecond', any(l.oldest_look), now64(3)) / 1000 AS lag_age_seconds
FROM
(
    SELECT table_name, kafka_topic, kafka_partition, max(last_offset) AS last_offset,
        max(last_event_at) AS last_event_at, max(last_ingested_at) AS last_ingested_at
    FROM ${raw}.progress
    GROUP BY table_name, kafka_topic, kafka_partition
) AS p
LEFT JOIN
(
    SELECT toString(kafka_topic) AS topic, toNullable(sum(lag_records)) AS behind,
        toNullable(min(seen_at)) AS oldest_look
    FROM ${raw}.source_lag FINAL
    GROUP BY kafka_topic
) AS l ON l.topic = p.kafka_topic
GROUP BY table_name, kafka_topic
COMMENT 'How far each table is.';
