-- Every column of every materialized view says what it is.

ALTER TABLE ${raw}.progress_of_payment_events
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

ALTER TABLE ${raw}.progress_of_ledger_entries
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

ALTER TABLE ${raw}.progress_of_payout_events
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

ALTER TABLE ${raw}.progress_of_webhook_attempts
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

ALTER TABLE ${raw}.progress_of_dead_letters
    COMMENT COLUMN table_name 'Table of this database.',
    COMMENT COLUMN kafka_topic 'Topic its rows were read from.',
    COMMENT COLUMN kafka_partition 'Partition its rows were read from.',
    COMMENT COLUMN last_offset 'Highest offset that gave a row.',
    COMMENT COLUMN last_event_at 'Newest event time.',
    COMMENT COLUMN last_ingested_at 'Newest insert.';

ALTER TABLE ${raw}.funnel_steps_of_payment_events
    COMMENT COLUMN merchant_id 'Owner of the payment, mer_…',
    COMMENT COLUMN payment_id 'Payment, pay_…',
    COMMENT COLUMN mode 'test or live.',
    COMMENT COLUMN currency 'ISO 4217 code of the create; empty before it came.',
    COMMENT COLUMN created_at 'When it was created; 1970 before that came.',
    COMMENT COLUMN was_challenged '1 if asked for 3-D Secure.',
    COMMENT COLUMN was_authorized '1 if authorized.',
    COMMENT COLUMN was_captured '1 if captured, in part or in full.',
    COMMENT COLUMN was_settled '1 if settled.',
    COMMENT COLUMN was_declined '1 if declined by the issuer.',
    COMMENT COLUMN was_failed '1 if failed for a technical reason.',
    COMMENT COLUMN was_refunded '1 if refunded, in part or in full.',
    COMMENT COLUMN was_disputed '1 if disputed.';

ALTER TABLE ${raw}.network_results_of_payment_events
    COMMENT COLUMN merchant_id 'Owner of the payment, mer_…',
    COMMENT COLUMN payment_id 'Payment, pay_…',
    COMMENT COLUMN sequence 'Number of the event within its payment.',
    COMMENT COLUMN occurred_at 'When the result came.',
    COMMENT COLUMN operation 'authorize, capture, refund or void.',
    COMMENT COLUMN outcome 'approved, declined, failed or unknown.';
