-- The double-entry ledger and what follows from it.

CREATE OR REPLACE VIEW ${views}.ledger_entries
(
    entry_id String COMMENT 'Identity of the entry: transaction_id#leg.',
    transaction_id String COMMENT 'Event that the transaction records.',
    leg UInt8 COMMENT 'Number of the entry within its transaction: 1, 2, 3…',
    transaction_type LowCardinality(String) COMMENT 'Type of that event.',
    account LowCardinality(String) COMMENT 'Account of the chart; see trial_balance.',
    state LowCardinality(String) COMMENT 'pending: promised. posted: happened.',
    direction LowCardinality(String) COMMENT 'debit (amount above 0) or credit.',
    merchant_id String COMMENT 'Merchant concerned, mer_…',
    payment_id String COMMENT 'Payment concerned; empty for payouts.',
    payout_id String COMMENT 'Payout concerned; empty for payments.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    amount_minor Int64 COMMENT 'Minor units; a debit is positive, a credit negative.',
    amount_decimal Decimal(38, 4) COMMENT 'amount_minor as a decimal amount of the currency.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the event happened.',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the event.',
    kafka_partition Int32 COMMENT 'Partition of the event.',
    kafka_offset Int64 COMMENT 'Offset of the event.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the audit sink inserted the row.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    entry_id, transaction_id, leg, transaction_type, account, state,
    if(amount_minor > 0, 'debit', 'credit') AS direction,
    merchant_id, payment_id, payout_id, mode, currency, amount_minor,
    toDecimal128(amount_minor, 4) / intExp10(currency_exponent) AS amount_decimal,
    occurred_at, kafka_topic, kafka_partition, kafka_offset, ingested_at
FROM ${raw}.ledger_entries FINAL
COMMENT 'Double-entry ledger: the entries of one transaction sum to zero per currency and state.';

CREATE OR REPLACE VIEW ${views}.ledger_transactions
(
    transaction_id String COMMENT 'Event that the transaction records.',
    transaction_type LowCardinality(String) COMMENT 'Type of that event.',
    merchant_id String COMMENT 'Merchant concerned, mer_…',
    payment_id String COMMENT 'Payment concerned; empty for payouts.',
    payout_id String COMMENT 'Payout concerned; empty for payments.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    entries UInt64 COMMENT 'Number of entries.',
    debits_minor Int64 COMMENT 'Sum of the debits, minor units.',
    debits_decimal Decimal(38, 4) COMMENT 'debits_minor as a decimal amount.',
    credits_minor Int64 COMMENT 'Sum of the credits without their sign, minor units.',
    credits_decimal Decimal(38, 4) COMMENT 'credits_minor as a decimal amount.',
    imbalance_minor Int64 COMMENT 'Debits less credits; anything but 0 is a fault.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the event happened.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When the newest of its entries was inserted.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    transaction_id,
    any(e.transaction_type) AS transaction_type,
    merchant_id,
    any(e.payment_id) AS payment_id,
    any(e.payout_id) AS payout_id,
    any(e.mode) AS mode,
    currency,
    count() AS entries,
    sumIf(e.amount_minor, e.amount_minor > 0) AS debits_minor,
    toDecimal128(debits_minor, 4) / intExp10(any(e.currency_exponent)) AS debits_decimal,
    -sumIf(e.amount_minor, e.amount_minor < 0) AS credits_minor,
    toDecimal128(credits_minor, 4) / intExp10(any(e.currency_exponent)) AS credits_decimal,
    sum(e.amount_minor) AS imbalance_minor,
    any(e.occurred_at) AS occurred_at,
    max(e.ingested_at) AS ingested_at
FROM ${raw}.ledger_entries AS e FINAL
GROUP BY merchant_id, transaction_id, currency
COMMENT 'One row per transaction and currency.';

CREATE OR REPLACE VIEW ${views}.trial_balance
(
    account LowCardinality(String) COMMENT 'Account of the chart.',
    class LowCardinality(String) COMMENT 'asset, liability, income, expense or memo.',
    state LowCardinality(String) COMMENT 'pending: promised. posted: happened.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    debits_minor Int64 COMMENT 'Sum of the debits, minor units.',
    credits_minor Int64 COMMENT 'Sum of the credits without their sign, minor units.',
    balance_minor Int64 COMMENT 'Debits less credits; the sum over all accounts is 0.',
    balance_decimal Decimal(38, 4) COMMENT 'balance_minor as a decimal amount.',
    entries UInt64 COMMENT 'Number of entries.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    account,
    transform(toString(account),
        ['customer_funds_in_flight', 'network_receivable', 'merchant_payable',
            'merchant_reserve', 'fees_revenue', 'network_cost', 'disputes', 'bank_clearing',
            'suspense'],
        ['memo', 'asset', 'liability', 'liability', 'income', 'expense', 'asset', 'asset',
            'asset'],
        'unknown') AS class,
    state, mode, currency,
    sumIf(e.amount_minor, e.amount_minor > 0) AS debits_minor,
    -sumIf(e.amount_minor, e.amount_minor < 0) AS credits_minor,
    sum(e.amount_minor) AS balance_minor,
    toDecimal128(balance_minor, 4) / intExp10(any(e.currency_exponent)) AS balance_decimal,
    count() AS entries
FROM ${raw}.ledger_entries AS e FINAL
GROUP BY account, state, mode, currency
COMMENT 'Balance of each account; per mode, currency and state the balances sum to zero.';

CREATE OR REPLACE VIEW ${views}.merchant_balances
(
    merchant_id String COMMENT 'Merchant, mer_…',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    captured_minor Int64 COMMENT 'Captured from customers, minor units.',
    refunded_minor Int64 COMMENT 'Given back to customers, minor units.',
    fees_minor Int64 COMMENT 'Fees we took, minor units.',
    disputed_minor Int64 COMMENT 'Taken for disputes that are open or lost, minor units.',
    paid_out_minor Int64 COMMENT 'Paid to the merchant''s bank, minor units.',
    owed_minor Int64 COMMENT 'What we owe now, payouts under way included, minor units.',
    in_payout_minor Int64 COMMENT 'Part of owed that is in a payout under way, minor units.',
    available_minor Int64 COMMENT 'Part of owed that the next payout can take, minor units.',
    available_decimal Decimal(38, 4) COMMENT 'available_minor as a decimal amount.',
    reserved_minor Int64 COMMENT 'Held back for open disputes, minor units.',
    on_hold_minor Int64 COMMENT 'Authorized at customers, neither captured nor released.',
    last_entry_at DateTime64(3, 'UTC') COMMENT 'Newest of these entries.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    merchant_id, mode, currency,
    sumIf(e.amount_minor, posted AND account = 'network_receivable'
        AND transaction_type = 'payment.captured') AS captured_minor,
    -sumIf(e.amount_minor, posted AND account = 'network_receivable'
        AND transaction_type = 'refund.succeeded') AS refunded_minor,
    -sumIf(e.amount_minor, posted AND account = 'fees_revenue') AS fees_minor,
    -sumIf(e.amount_minor, posted AND account = 'network_receivable'
        AND startsWith(transaction_type, 'dispute.')) AS disputed_minor,
    sumIf(e.amount_minor, posted AND account = 'merchant_payable'
        AND startsWith(transaction_type, 'payout.')) AS paid_out_minor,
    -sumIf(e.amount_minor, posted AND account = 'merchant_payable') AS owed_minor,
    sumIf(e.amount_minor, NOT posted AND account = 'merchant_payable') AS in_payout_minor,
    owed_minor - in_payout_minor AS available_minor,
    toDecimal128(available_minor, 4) / intExp10(any(e.currency_exponent)) AS available_decimal,
    -sumIf(e.amount_minor, posted AND account = 'merchant_reserve') AS reserved_minor,
    -sumIf(e.amount_minor, account = 'customer_funds_in_flight') AS on_hold_minor,
    max(e.occurred_at) AS last_entry_at
FROM (SELECT *, state = 'posted' AS posted FROM ${raw}.ledger_entries FINAL) AS e
GROUP BY merchant_id, mode, currency
COMMENT 'What each merchant earned, got and is owed, from the ledger alone.';
