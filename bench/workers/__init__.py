"""The baselines: each module is a program.

Environment: BOOTSTRAP, NAME, INPUT, RECORDS, WORK_DIR. Each prints lines of JSON: {"ready": true}
once, where it can tell, and {"done": …} after RECORDS records.
"""
