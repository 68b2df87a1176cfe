-- How parts of the large tables are written and merged (docs/decisions/0022): a part below 128 MiB
-- is one file, not one per column, and about twenty parts of a size are merged at once, not five.

ALTER TABLE ${raw}.payment_events
    MODIFY SETTING min_bytes_for_wide_part = 134217728, merge_selector_base = 20;

ALTER TABLE ${raw}.ledger_entries
    MODIFY SETTING min_bytes_for_wide_part = 134217728, merge_selector_base = 20;

ALTER TABLE ${raw}.funnel_steps
    MODIFY SETTING min_bytes_for_wide_part = 134217728, merge_selector_base = 20;

ALTER TABLE ${raw}.network_results
    MODIFY SETTING min_bytes_for_wide_part = 134217728, merge_selector_base = 20;

ALTER TABLE ${raw}.ledger_checkpoints
    MODIFY SETTING merge_selector_base = 20;
