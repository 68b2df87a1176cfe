"""ClickHouse's HTTP interface over the embedded engine chDB, one process for one directory.

`python -m devstack.clickhouse_http --path DIR --port N` answers an unmodified
`clickhouse_connect.get_client(host, port)` on loopback, so that everything else knows one way to
speak with ClickHouse. See README.md beside this file for what is answered and what is refused.
"""
