"""The ledger's tables anew from Kafka in a second database, compared, and swapped in.

`devstack.rebuild_audit.rebuild_audit` puts the pieces together; docs/decisions/0020 says why so.
"""
