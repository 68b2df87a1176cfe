"""The ledger's tables, rebuilt from Kafka in a second database, compared, and swapped in.

`paystream.rebuild.ledger.rebuild_ledger` puts the pieces together; docs/decisions/0020 says why so.
"""
