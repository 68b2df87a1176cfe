-- What left the system: payouts, webhooks.

CREATE OR REPLACE VIEW ${views}.payouts
(
    payout_id String COMMENT 'Payout, po_…',
    merchant_id String COMMENT 'Merchant who is paid, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    status LowCardinality(String) COMMENT 'created, paid, failed, or carried into a later one.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'Sum of the items, minor units.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount.',
    item_count UInt32 COMMENT 'Number of items; see payout_items.',
    bank_account String COMMENT 'Where the money goes.',
    bank_reference String COMMENT 'The bank''s id; empty until there is one.',
    reason LowCardinality(String) COMMENT 'Why it failed; empty if it did not.',
    created_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the batch was closed.',
    finished_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was paid or failed.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the newest event was inserted.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH latest AS
(
    SELECT
        payout_id, merchant_id,
        argMax((status, currency, currency_exponent, amount_minor, item_count, reason,
            ingested_at, mode), sequence) AS state,
        argMaxIf(bank_account, sequence, bank_account != '') AS account,
        argMaxIf(bank_reference, sequence, bank_reference != '') AS bank_id,
        minOrNullIf(occurred_at, type = 'payout.created') AS began_at,
        maxOrNullIf(occurred_at, type IN ('payout.paid', 'payout.failed')) AS ended_at
    FROM ${raw}.payout_events
    GROUP BY merchant_id, payout_id
)
SELECT
    payout_id, merchant_id, state.8 AS mode, state.1 AS status, state.2 AS currency,
    state.4 AS amount_minor,
    toDecimal128(state.4, 4) / intExp10(state.3) AS amount_decimal, state.5 AS item_count,
    account AS bank_account, bank_id AS bank_reference, state.6 AS reason,
    began_at AS created_at, ended_at AS finished_at, state.7 AS ingested_at
FROM latest
COMMENT 'One row per payout: its state after its newest event.';

CREATE OR REPLACE VIEW ${views}.payout_items
(
    payout_id String COMMENT 'Payout, po_…',
    merchant_id String COMMENT 'Merchant who is paid, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    item_id String COMMENT 'Payment event that changed what is owed, or an earlier payout.',
    transaction_type LowCardinality(String) COMMENT 'Type of that event; payout.* for an earlier payout.',
    payment_id String COMMENT 'Payment of that event; empty for a payout.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'What the event added to the payout, by the ledger; minor units.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When that event happened.',
    payout_created_at DateTime64(3, 'UTC') COMMENT 'When the payout was created.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    p.payout_id AS payout_id, p.merchant_id AS merchant_id, p.mode AS mode,
    p.item_id AS item_id,
    e.event_type AS transaction_type, e.paid_payment AS payment_id, p.currency AS currency,
    e.owed_minor AS amount_minor,
    toDecimal128(e.owed_minor, 4) / intExp10(p.currency_exponent) AS amount_decimal,
    e.happened_at AS occurred_at, p.created_at AS payout_created_at
FROM
(
    SELECT payout_id, merchant_id, mode, currency, currency_exponent, occurred_at AS created_at,
        arrayJoin(items) AS item_id
    FROM ${raw}.payout_events FINAL
    WHERE type IN ('payout.created', 'payout.carried_forward')
) AS p
LEFT JOIN
(
    SELECT merchant_id, transaction_id, any(transaction_type) AS event_type,
        any(payment_id) AS paid_payment, -sum(amount_minor) AS owed_minor,
        any(occurred_at) AS happened_at
    FROM ${raw}.ledger_entries FINAL
    WHERE account = 'merchant_payable' AND state = 'posted' AND payment_id != ''
    GROUP BY merchant_id, transaction_id
    UNION ALL
    SELECT merchant_id, payout_id AS transaction_id, argMax(type, sequence) AS event_type,
        '' AS paid_payment, any(amount_minor) AS owed_minor, max(occurred_at) AS happened_at
    FROM ${raw}.payout_events
    GROUP BY merchant_id, payout_id
) AS e ON e.merchant_id = p.merchant_id AND e.transaction_id = p.item_id
COMMENT 'One row per item of a payout; the items of a payout sum to its amount.';

CREATE OR REPLACE VIEW ${views}.webhook_attempts
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
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * FROM ${raw}.webhook_attempts FINAL
COMMENT 'Every attempt to deliver a webhook.';
