-- Raw tables: one row per record or ledger entry, as often as it was inserted until a merge.
-- The sorting key is the identity of the row and the partition follows from the row itself, so
-- that a second insert of the same row always meets the first one. Only views are read by people.

CREATE DATABASE IF NOT EXISTS ${views}
COMMENT 'Views with stable names for analysts; no duplicate is ever visible in them.';

CREATE TABLE IF NOT EXISTS ${raw}.payment_events
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
    currency_exponent UInt8 COMMENT 'Decimals of the currency: JPY 0, EUR 2, KWD 3.',
    amount_minor Int64 COMMENT 'What the event moves or asks for, minor units; 0 if nothing.',
    fee_minor Int64 COMMENT 'Fee that the event adds, minor units.',
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
    INDEX by_payment payment_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (merchant_id, payment_id, sequence)
COMMENT 'One row per record of payments.events.';

CREATE TABLE IF NOT EXISTS ${raw}.ledger_entries
(
    entry_id String COMMENT 'Identity of the entry: transaction_id#leg.',
    transaction_id String COMMENT 'Event that the transaction records.',
    leg UInt8 COMMENT 'Number of the entry within its transaction: 1, 2, 3…',
    transaction_type LowCardinality(String) COMMENT 'Type of that event.',
    account LowCardinality(String) COMMENT 'Account of the chart (sinks/audit/ledger).',
    state LowCardinality(String) COMMENT 'pending: promised. posted: happened.',
    merchant_id String COMMENT 'Merchant concerned, mer_…',
    payment_id String COMMENT 'Payment concerned; empty for payouts.',
    payout_id String COMMENT 'Payout concerned; empty for payments.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    currency_exponent UInt8 COMMENT 'Decimals of the currency: JPY 0, EUR 2, KWD 3.',
    amount_minor Int64 COMMENT 'Minor units; a debit is positive, a credit negative.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the event happened.',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the event.',
    kafka_partition Int32 COMMENT 'Partition of the event.',
    kafka_offset Int64 COMMENT 'Offset of the event.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.',
    INDEX by_payment payment_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (merchant_id, transaction_id, leg)
COMMENT 'Double-entry ledger: the entries of one transaction sum to zero per currency and state.';

CREATE TABLE IF NOT EXISTS ${raw}.payout_events
(
    event_id String COMMENT 'Identity of the event: payout_id-sequence.',
    payout_id String COMMENT 'Payout, po_…',
    merchant_id String COMMENT 'Merchant who is paid, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    sequence UInt64 COMMENT 'Number of the event within its payout: 1, 2, 3…',
    type LowCardinality(String) COMMENT 'What happened, such as payout.paid.',
    status LowCardinality(String) COMMENT 'created, paid, failed or carried.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    currency_exponent UInt8 COMMENT 'Decimals of the currency: JPY 0, EUR 2, KWD 3.',
    amount_minor Int64 COMMENT 'Sum of the items, minor units.',
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
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (merchant_id, payout_id, sequence)
COMMENT 'One row per record of payouts.events.';

CREATE TABLE IF NOT EXISTS ${raw}.webhook_attempts
(
    attempt_id String COMMENT 'Identity of the attempt: delivery_id#attempt.',
    delivery_id String COMMENT 'Delivery: event_id@endpoint_id.',
    endpoint_id String COMMENT 'Endpoint, we_…',
    merchant_id String COMMENT 'Owner of the endpoint, mer_…',
    event_id String COMMENT 'Event that is delivered.',
    payment_id String COMMENT 'Payment of that event.',
    attempt UInt32 COMMENT 'Number of the attempt: 1, 2, 3…',
    result LowCardinality(String) COMMENT 'delivered, failed or exhausted.',
    http_status UInt16 COMMENT 'Status of the answer; 0 if there was none.',
    error String COMMENT 'Why there was no answer.',
    latency_ms Int64 COMMENT 'Time to the answer, milliseconds.',
    attempted_at DateTime64(3, 'UTC') COMMENT 'When the attempt was made.',
    retry_after_seconds Nullable(Int64) COMMENT 'Pause the receiver asked for, if any.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(attempted_at)
ORDER BY (merchant_id, endpoint_id, attempt_id, kafka_partition, kafka_offset)
COMMENT 'One row per record of webhooks.attempts; an attempt made twice has two rows.';

CREATE TABLE IF NOT EXISTS ${raw}.dead_letters
(
    source_app LowCardinality(String) COMMENT 'Consumer group that gave up.',
    source_topic LowCardinality(String) COMMENT 'Topic of the record that could not be processed.',
    source_partition Int32 COMMENT 'Partition of that record.',
    source_offset Int64 COMMENT 'Offset of that record.',
    source_key String COMMENT 'Key of that record, if it is text.',
    reason_code LowCardinality(String) COMMENT 'Why, as a stable word.',
    detail String COMMENT 'Error class and message.',
    headers Map(String, String) COMMENT 'Headers of that record as text.',
    value String COMMENT 'Value of that record, bytes as they were.',
    failed_at DateTime64(3, 'UTC') COMMENT 'When the consumer gave up.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(failed_at)
ORDER BY (kafka_topic, kafka_partition, kafka_offset)
COMMENT 'One row per record of payments.dead_letters.';

CREATE TABLE IF NOT EXISTS ${raw}.reconciliation_breaks
(
    break_id String COMMENT 'Identity of the difference.',
    version UInt64 COMMENT 'Counts the changes of its state; the highest is valid.',
    kind LowCardinality(String) COMMENT 'missing_in_ledger, missing_in_report, amount, currency, duplicate, late.',
    state LowCardinality(String) COMMENT 'open, explained or closed.',
    merchant_id String COMMENT 'Merchant concerned; empty if unknown.',
    payment_id String COMMENT 'Payment concerned; empty if unknown.',
    network_reference String COMMENT 'The card network''s id of the line.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    currency_exponent UInt8 COMMENT 'Decimals of the currency: JPY 0, EUR 2, KWD 3.',
    ledger_minor Int64 COMMENT 'Amount in the ledger, minor units; 0 if missing.',
    reported_minor Int64 COMMENT 'Amount in the report, minor units; 0 if missing.',
    note String COMMENT 'What an operator wrote about it.',
    found_at DateTime64(3, 'UTC') COMMENT 'When the difference was found.',
    changed_at DateTime64(3, 'UTC') COMMENT 'When its state changed last.',
    kafka_topic LowCardinality(String) COMMENT 'Topic the row was read from.',
    kafka_partition Int32 COMMENT 'Partition the row was read from.',
    kafka_offset Int64 COMMENT 'Offset the row was read from.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the row was inserted.'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(found_at)
ORDER BY break_id
COMMENT 'Differences between the ledger, the card network''s reports and the bank.';
