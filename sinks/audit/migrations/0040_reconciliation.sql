-- Reconciliation: its events, the breaks that follow from them, the lines that were posted.

CREATE TABLE IF NOT EXISTS ${raw}.reconciliation_events
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
    currency_exponent UInt8 COMMENT 'Decimals of the currency: JPY 0, EUR 2, KWD 3.',
    gross_minor Int64 COMMENT 'What the line or deposit says, minor units; 0 if there is none.',
    fee_minor Int64 COMMENT 'What the network keeps of it, minor units.',
    expected_currency LowCardinality(String) COMMENT 'ISO 4217 code of expected_minor.',
    own_exponent UInt8 COMMENT 'Decimals of that currency.',
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
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (merchant_id, subject_id, sequence)
COMMENT 'One row per record of reconciliation.events.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.progress_of_reconciliation_events TO ${raw}.progress AS
SELECT 'reconciliation_events' AS table_name, kafka_topic, kafka_partition,
    max(kafka_offset) AS last_offset, max(occurred_at) AS last_event_at,
    max(ingested_at) AS last_ingested_at
FROM ${raw}.reconciliation_events GROUP BY kafka_topic, kafka_partition
COMMENT 'Feeds progress.';

ALTER TABLE ${raw}.progress_of_reconciliation_events
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

CREATE OR REPLACE VIEW ${views}.reconciliation_breaks
(
    break_id String COMMENT 'Identity of the difference, brk_…',
    kind LowCardinality(String) COMMENT 'missing_in_ledger, missing_in_report, amount, currency, duplicate, late.',
    state LowCardinality(String) COMMENT 'open, acknowledged, resolved or written_off.',
    level LowCardinality(String) COMMENT 'operation: a line and our operation. report: a deposit and a report.',
    merchant_id String COMMENT 'Merchant concerned; empty if unknown.',
    payment_id String COMMENT 'Payment concerned; empty if unknown.',
    mode LowCardinality(String) COMMENT 'test or live; live if unknown.',
    operation_id String COMMENT 'Our operation; empty if a whole report is concerned.',
    network LowCardinality(String) COMMENT 'Card network that reports.',
    network_reference String COMMENT 'The card network''s id of the line.',
    report_id String COMMENT 'Settlement report; empty if the network reported nothing.',
    line_id String COMMENT 'Line of the report or statement; empty if there is none.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of what we expected.',
    ledger_minor Int64 COMMENT 'What we expected, minor units; 0 if nothing.',
    ledger_decimal Decimal(38, 4) COMMENT 'ledger_minor as a decimal amount.',
    reported_currency LowCardinality(String) COMMENT 'ISO 4217 code of what was reported.',
    reported_minor Int64 COMMENT 'What was reported, minor units; 0 if nothing.',
    reported_decimal Decimal(38, 4) COMMENT 'reported_minor as a decimal amount.',
    age_seconds Int64 COMMENT 'Time since it was found, seconds; until it was closed, if it is.',
    actor String COMMENT 'Who moved it last; reconciliation if the other side came by itself.',
    note String COMMENT 'Why, in that actor''s words.',
    version UInt32 COMMENT 'Counts its changes: 1, 2, 3…',
    found_at DateTime64(3, 'UTC') COMMENT 'When the difference was found.',
    changed_at DateTime64(3, 'UTC') COMMENT 'When it changed last.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH newest AS
(
    SELECT
        e.break_id AS id,
        max(e.break_version) AS newest_version,
        argMax(e.break_kind, e.break_version) AS kind,
        argMax(e.break_state, e.break_version) AS state,
        argMax(e.merchant_id, e.break_version) AS merchant,
        argMax(e.payment_id, e.break_version) AS payment,
        argMax(e.mode, e.break_version) AS payment_mode,
        argMax(e.operation_id, e.break_version) AS operation,
        argMax(e.network, e.break_version) AS reporting,
        argMax(e.network_reference, e.break_version) AS reference,
        argMax(e.report_id, e.break_version) AS report,
        argMax(e.line_id, e.break_version) AS line,
        argMax(e.expected_currency, e.break_version) AS our_currency,
        argMax(e.expected_minor, e.break_version) AS our_minor,
        argMax(e.own_exponent, e.break_version) AS our_exponent,
        argMax(e.currency, e.break_version) AS their_currency,
        argMax(e.gross_minor, e.break_version) AS their_minor,
        argMax(e.currency_exponent, e.break_version) AS their_exponent,
        argMax(e.actor, e.break_version) AS who,
        argMax(e.reason, e.break_version) AS why,
        min(assumeNotNull(e.found_at)) AS first_found_at,
        argMax(e.occurred_at, e.break_version) AS last_changed_at
    FROM ${raw}.reconciliation_events AS e
    WHERE e.break_version > 0
    GROUP BY e.break_id
)
SELECT
    id AS break_id, kind, state, if(operation = '', 'report', 'operation') AS level,
    merchant AS merchant_id, payment AS payment_id, payment_mode AS mode,
    operation AS operation_id, reporting AS network, reference AS network_reference,
    report AS report_id, line AS line_id,
    our_currency AS currency, our_minor AS ledger_minor,
    toDecimal128(our_minor, 4) / intExp10(our_exponent) AS ledger_decimal,
    their_currency AS reported_currency, their_minor AS reported_minor,
    toDecimal128(their_minor, 4) / intExp10(their_exponent) AS reported_decimal,
    dateDiff('second', first_found_at,
        if(state IN ('resolved', 'written_off'), last_changed_at, now64(3))) AS age_seconds,
    who AS actor, why AS note, newest_version AS version,
    first_found_at AS found_at, last_changed_at AS changed_at
FROM newest
COMMENT 'Differences between our book, the card network''s reports and the bank.';

CREATE OR REPLACE VIEW ${views}.settlements
(
    line_id String COMMENT 'Line of the report.',
    report_id String COMMENT 'Settlement report.',
    network LowCardinality(String) COMMENT 'Card network that reports.',
    state LowCardinality(String) COMMENT 'settled: as the ledger expects. reclassified: moved out of suspense. suspended: a break.',
    merchant_id String COMMENT 'Merchant concerned; empty if unknown.',
    payment_id String COMMENT 'Payment concerned; empty if unknown.',
    mode LowCardinality(String) COMMENT 'test or live; live if unknown.',
    operation_id String COMMENT 'Operation that the line names.',
    line_kind LowCardinality(String) COMMENT 'capture or refund.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    gross_minor Int64 COMMENT 'Above 0 to us, below 0 from us, minor units.',
    gross_decimal Decimal(38, 4) COMMENT 'gross_minor as a decimal amount.',
    fee_minor Int64 COMMENT 'Network cost, minor units.',
    fee_decimal Decimal(38, 4) COMMENT 'fee_minor as a decimal amount.',
    net_minor Int64 COMMENT 'What the bank got of it, minor units.',
    net_decimal Decimal(38, 4) COMMENT 'net_minor as a decimal amount.',
    transaction_id String COMMENT 'Its last ledger transaction.',
    posted_at DateTime64(3, 'UTC') COMMENT 'Time of that transaction.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH newest AS
(
    SELECT
        e.line_id AS line,
        any(e.report_id) AS report,
        any(e.network) AS reporting,
        replaceOne(argMax(e.type, e.sequence), 'line.', '') AS posted,
        argMax(e.merchant_id, e.sequence) AS merchant,
        argMax(e.payment_id, e.sequence) AS payment,
        argMax(e.mode, e.sequence) AS payment_mode,
        any(e.operation_id) AS operation,
        any(e.line_kind) AS kind,
        any(e.currency) AS line_currency,
        any(e.currency_exponent) AS exponent,
        any(e.gross_minor) AS gross,
        any(e.fee_minor) AS fee,
        argMax(e.event_id, e.sequence) AS event,
        argMax(e.occurred_at, e.sequence) AS at
    FROM ${raw}.reconciliation_events AS e
    WHERE e.type IN ('line.settled', 'line.suspended', 'line.reclassified')
    GROUP BY e.line_id
)
SELECT
    line AS line_id, report AS report_id, reporting AS network, posted AS state,
    merchant AS merchant_id, payment AS payment_id, payment_mode AS mode,
    operation AS operation_id, kind AS line_kind, line_currency AS currency,
    gross AS gross_minor, toDecimal128(gross, 4) / intExp10(exponent) AS gross_decimal,
    fee AS fee_minor, toDecimal128(fee, 4) / intExp10(exponent) AS fee_decimal,
    gross - fee AS net_minor, toDecimal128(gross - fee, 4) / intExp10(exponent) AS net_decimal,
    event AS transaction_id, at AS posted_at
FROM newest
COMMENT 'Lines of settlement reports that the bank has paid, each once.';

DROP TABLE IF EXISTS ${raw}.reconciliation_breaks;
