-- Rollups that inserts keep up to date and that stay right when rows are inserted again: what they
-- keep per payment are maxima, and per result of the card network one row with an identity.

CREATE TABLE IF NOT EXISTS ${raw}.funnel_steps
(
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    payment_id String COMMENT 'Payment, pay_…',
    mode SimpleAggregateFunction(max, String) COMMENT 'test or live.',
    currency SimpleAggregateFunction(max, String) COMMENT 'ISO 4217 code of the create; empty before it came.',
    created_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When it was created; 1970 before that came.',
    was_challenged SimpleAggregateFunction(max, UInt8) COMMENT '1 if asked for 3-D Secure.',
    was_authorized SimpleAggregateFunction(max, UInt8) COMMENT '1 if authorized.',
    was_captured SimpleAggregateFunction(max, UInt8) COMMENT '1 if captured, in part or in full.',
    was_settled SimpleAggregateFunction(max, UInt8) COMMENT '1 if settled.',
    was_declined SimpleAggregateFunction(max, UInt8) COMMENT '1 if declined by the issuer.',
    was_failed SimpleAggregateFunction(max, UInt8) COMMENT '1 if failed for a technical reason.',
    was_refunded SimpleAggregateFunction(max, UInt8) COMMENT '1 if refunded, in part or in full.',
    was_disputed SimpleAggregateFunction(max, UInt8) COMMENT '1 if disputed.'
)
ENGINE = AggregatingMergeTree
ORDER BY (merchant_id, payment_id)
COMMENT 'How far each payment came, kept by a materialized view.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.funnel_steps_of_payment_events TO ${raw}.funnel_steps AS
SELECT
    merchant_id, payment_id, max(toString(e.mode)) AS mode,
    max(if(type = 'payment.created', toString(e.currency), '')) AS currency,
    max(if(type = 'payment.created', occurred_at, toDateTime64(0, 3, 'UTC'))) AS created_at,
    max(type = 'payment.requires_action') AS was_challenged,
    max(type = 'payment.authorized') AS was_authorized,
    max(type = 'payment.captured') AS was_captured,
    max(type = 'payment.settled') AS was_settled,
    max(type = 'payment.declined') AS was_declined,
    max(type = 'payment.failed') AS was_failed,
    max(type = 'refund.succeeded') AS was_refunded,
    max(type = 'dispute.opened') AS was_disputed
FROM ${raw}.payment_events AS e
GROUP BY merchant_id, payment_id
COMMENT 'Feeds funnel_steps.';

INSERT INTO ${raw}.funnel_steps
SELECT
    merchant_id, payment_id, max(toString(e.mode)),
    max(if(type = 'payment.created', toString(e.currency), '')),
    max(if(type = 'payment.created', occurred_at, toDateTime64(0, 3, 'UTC'))),
    max(type = 'payment.requires_action'), max(type = 'payment.authorized'),
    max(type = 'payment.captured'), max(type = 'payment.settled'),
    max(type = 'payment.declined'), max(type = 'payment.failed'),
    max(type = 'refund.succeeded'), max(type = 'dispute.opened')
FROM ${raw}.payment_events AS e
GROUP BY merchant_id, payment_id;

CREATE OR REPLACE VIEW ${views}.funnel_hourly
(
    hour DateTime('UTC') COMMENT 'Hour in which the payments were created.',
    mode LowCardinality(String) COMMENT 'test or live.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code.',
    created UInt64 COMMENT 'Payments created in that hour.',
    challenged UInt64 COMMENT 'Of these: asked for 3-D Secure.',
    authorized UInt64 COMMENT 'Of these: authorized.',
    captured UInt64 COMMENT 'Of these: captured, in part or in full.',
    settled UInt64 COMMENT 'Of these: settled.',
    declined UInt64 COMMENT 'Of these: declined by the issuer.',
    failed UInt64 COMMENT 'Of these: failed for a technical reason.',
    refunded UInt64 COMMENT 'Of these: refunded, in part or in full.',
    disputed UInt64 COMMENT 'Of these: disputed.',
    capture_rate Float64 COMMENT 'captured / created, 0 to 1.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH steps AS
(
    SELECT
        merchant_id, payment_id, max(s.mode) AS mode, max(s.currency) AS currency,
        max(s.created_at) AS began_at,
        max(s.was_challenged) AS challenged_once, max(s.was_authorized) AS authorized_once,
        max(s.was_captured) AS captured_once, max(s.was_settled) AS settled_once,
        max(s.was_declined) AS declined_once, max(s.was_failed) AS failed_once,
        max(s.was_refunded) AS refunded_once, max(s.was_disputed) AS disputed_once
    FROM ${raw}.funnel_steps AS s
    GROUP BY merchant_id, payment_id
    HAVING began_at > toDateTime64(0, 3, 'UTC')
)
SELECT
    toStartOfHour(began_at) AS hour, mode, currency,
    count() AS created, sum(challenged_once) AS challenged, sum(authorized_once) AS authorized,
    sum(captured_once) AS captured, sum(settled_once) AS settled, sum(declined_once) AS declined,
    sum(failed_once) AS failed, sum(refunded_once) AS refunded, sum(disputed_once) AS disputed,
    captured / created AS capture_rate
FROM steps
GROUP BY hour, mode, currency
COMMENT 'How far the payments created in each hour came until now.';

CREATE TABLE IF NOT EXISTS ${raw}.network_results
(
    merchant_id String COMMENT 'Owner of the payment, mer_…',
    payment_id String COMMENT 'Payment, pay_…',
    sequence UInt64 COMMENT 'Number of the event within its payment.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When the result came.',
    operation LowCardinality(String) COMMENT 'authorize, capture, refund or void.',
    outcome LowCardinality(String) COMMENT 'approved, declined, failed or unknown.'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (merchant_id, payment_id, sequence)
COMMENT 'One row per result of the card network, kept by a materialized view.';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${raw}.network_results_of_payment_events TO ${raw}.network_results AS
SELECT
    merchant_id, payment_id, sequence, occurred_at,
    multiIf(e.operation != '', toString(e.operation),
        startsWith(type, 'refund.'), 'refund',
        type IN ('payment.captured', 'payment.capture_failed'), 'capture',
        type IN ('payment.voided', 'payment.void_failed'), 'void', 'authorize') AS operation,
    multiIf(
        type IN ('payment.authorized', 'payment.requires_action', 'payment.captured',
            'payment.voided', 'refund.succeeded'), 'approved',
        type = 'payment.declined', 'declined',
        type = 'payment.outcome_unknown', 'unknown', 'failed') AS outcome
FROM ${raw}.payment_events AS e
WHERE command_kind = 'network_result' AND type IN ('payment.authorized',
    'payment.requires_action', 'payment.captured', 'payment.voided', 'refund.succeeded',
    'payment.declined', 'payment.outcome_unknown', 'payment.failed',
    'payment.capture_failed', 'payment.void_failed', 'refund.failed')
COMMENT 'Feeds network_results.';

INSERT INTO ${raw}.network_results
SELECT
    merchant_id, payment_id, sequence, occurred_at,
    multiIf(e.operation != '', toString(e.operation),
        startsWith(type, 'refund.'), 'refund',
        type IN ('payment.captured', 'payment.capture_failed'), 'capture',
        type IN ('payment.voided', 'payment.void_failed'), 'void', 'authorize'),
    multiIf(
        type IN ('payment.authorized', 'payment.requires_action', 'payment.captured',
            'payment.voided', 'refund.succeeded'), 'approved',
        type = 'payment.declined', 'declined',
        type = 'payment.outcome_unknown', 'unknown', 'failed')
FROM ${raw}.payment_events AS e
WHERE command_kind = 'network_result' AND type IN ('payment.authorized',
    'payment.requires_action', 'payment.captured', 'payment.voided', 'refund.succeeded',
    'payment.declined', 'payment.outcome_unknown', 'payment.failed',
    'payment.capture_failed', 'payment.void_failed', 'refund.failed');

CREATE OR REPLACE VIEW ${views}.network_health
(
    minute DateTime('UTC') COMMENT 'Minute in which the results came.',
    operation LowCardinality(String) COMMENT 'authorize, capture, refund or void.',
    results UInt64 COMMENT 'Results of the card network.',
    approved UInt64 COMMENT 'Approved, or a challenge was asked for.',
    declined UInt64 COMMENT 'Declined by the issuer.',
    failed UInt64 COMMENT 'Failed for a technical reason.',
    unknown UInt64 COMMENT 'Outcome unknown: the answer did not come.',
    decided_rate Float64 COMMENT '(approved + declined) / results, 0 to 1.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    toStartOfMinute(occurred_at) AS minute, operation, count() AS results,
    countIf(outcome = 'approved') AS approved, countIf(outcome = 'declined') AS declined,
    countIf(outcome = 'failed') AS failed, countIf(outcome = 'unknown') AS unknown,
    (approved + declined) / results AS decided_rate
FROM ${raw}.network_results FINAL
GROUP BY minute, operation
COMMENT 'What the card network answered, per minute and operation.';
