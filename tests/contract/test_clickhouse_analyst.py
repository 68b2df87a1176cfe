"""What the read-only user may and may not."""

from __future__ import annotations

from collections.abc import Iterator

import clickhouse_connect
import httpx2
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

pytestmark = pytest.mark.services

ACCESS_DENIED = 497
READONLY = 164


@pytest.fixture(scope="module")
def analyst(clickhouse_url: str) -> Iterator[Client]:
    """The read-only user over one view, one internal table and one raw database."""
    with clickhouse_connect.get_client(dsn=clickhouse_url) as owner:
        for sql in (
            "CREATE DATABASE IF NOT EXISTS paystream",
            "CREATE DATABASE IF NOT EXISTS paystream_raw",
            "CREATE TABLE paystream_raw.entries (n UInt64) ENGINE = MergeTree ORDER BY n",
            "CREATE TABLE paystream._internal (n UInt64) ENGINE = MergeTree ORDER BY n",
            "CREATE VIEW paystream.analyst_test AS SELECT n FROM paystream_raw.entries",
        ):
            owner.command(sql)
        owner.insert("paystream_raw.entries", [[n] for n in range(10)])
        with clickhouse_connect.get_client(dsn=clickhouse_url, username="analyst") as client:
            yield client
        owner.command("DROP VIEW paystream.analyst_test")
        owner.command("DROP TABLE paystream._internal")
        owner.command("DROP TABLE paystream_raw.entries")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM analyst_test",
        "SELECT sum(n) FROM paystream.analyst_test WHERE n IN (1, 2) GROUP BY n % 2",
        "WITH big AS (SELECT n FROM analyst_test WHERE n > 5) SELECT count() FROM big",
        "SELECT n FROM analyst_test UNION ALL SELECT number FROM numbers(3)",
        "SHOW TABLES",
        "SHOW TABLES FROM paystream",
        "DESCRIBE TABLE analyst_test",
        "EXPLAIN SELECT * FROM analyst_test",
        "EXISTS TABLE analyst_test",
        "SELECT name, comment FROM system.columns WHERE database = 'paystream'",
        "SELECT n, n + 1 AS next FROM analyst_test ORDER BY next LIMIT 1",
        "SELECT ';' || '_internal'",
    ],
)
def test_reading_views(analyst: Client, sql: str) -> None:
    assert analyst.query(sql).result_rows


def test_parameters_and_formats_work_for_analysts(analyst: Client) -> None:
    sql = "SELECT count() FROM analyst_test WHERE n < {n:UInt64}"
    assert analyst.query(sql, parameters={"n": 3}).result_rows == [(3,)]
    assert analyst.raw_query(sql, parameters={"n": 3}, fmt="CSV") == b"3\n"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO paystream.analyst_test VALUES (1)",
        "INSERT INTO paystream.analyst_test SELECT 1",
        "CREATE TABLE paystream.mine (n UInt8) ENGINE = Memory",
        "DROP VIEW analyst_test",
        "ALTER TABLE paystream_raw.entries DELETE WHERE 1",
        "TRUNCATE TABLE paystream_raw.entries",
        "OPTIMIZE TABLE paystream_raw.entries",
        "KILL QUERY WHERE 1",
        "SYSTEM STOP MERGES",
        "SELECT n FROM analyst_test SETTINGS max_execution_time = 1000",
        "SELECT n FROM analyst_test SETTINGS readonly = 0",
    ],
)
def test_nothing_is_changed(analyst: Client, sql: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        analyst.command(sql)
    assert refused.value.code == READONLY


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM _internal",
        "SELECT * FROM `_internal`",
        'SELECT * FROM "paystream"."_internal"',
        "SELECT * FROM paystream_raw.entries",
        "SELECT (SELECT max(n) FROM paystream_raw.entries)",
        "SELECT 1 FROM analyst_test WHERE n IN paystream_raw.entries",
        "SELECT 1 FROM analyst_test WHERE n IN _internal",
        "SELECT 1 UNION ALL SELECT n FROM _internal",
        "WITH x AS (SELECT * FROM _internal) SELECT * FROM x",
        "SELECT * FROM analyst_test AS a JOIN paystream_raw.entries AS b USING n",
        "SELECT * FROM merge('paystream', '.*')",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT file('/etc/hostname')",
        "SELECT `file`('/etc/hostname')",
        "SELECT FILE('/etc/hostname')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1', 'paystream', '_internal')",
        "SELECT joinGet('paystream._internal', 'n', 1)",
        "SELECT * FROM system.processes",
        "SELECT * FROM system.parts",
        "SHOW CREATE TABLE _internal",
        "DESCRIBE TABLE paystream_raw.entries",
        "EXPLAIN SELECT * FROM _internal",
        "SELECT * FROM {t:Identifier}",
    ],
)
def test_nothing_else_is_read(analyst: Client, sql: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        analyst.query(sql, parameters={"t": "_internal"})
    assert refused.value.code == ACCESS_DENIED


def test_the_catalogue_shows_nothing_else(analyst: Client) -> None:
    names = "SELECT database, name FROM system.tables WHERE database != 'system'"
    found = analyst.query(names).result_rows
    assert ("paystream", "analyst_test") in found
    assert {database for database, _ in found} == {"paystream"}
    assert not any(name.startswith("_") for _, name in found)
    assert analyst.query("SHOW TABLES FROM paystream_raw").result_rows == []
    columns = "SELECT DISTINCT database, table FROM system.columns WHERE database LIKE 'pay%'"
    assert {(d, t) for d, t in analyst.query(columns).result_rows} <= set(found)
    assert sorted(analyst.query("SHOW DATABASES").result_rows) == [("paystream",), ("system",)]


def test_a_second_statement_cannot_ride_along(analyst: Client) -> None:
    for sql in ("SELECT 1; DROP VIEW analyst_test", "SELECT 1; SELECT * FROM _internal"):
        with pytest.raises(DatabaseError) as refused:
            analyst.command(sql)
        assert refused.value.code == 62
    assert analyst.command("EXISTS TABLE analyst_test") == 1


def test_another_database_cannot_be_made_the_default(clickhouse_url: str, analyst: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        analyst.raw_query("SELECT * FROM entries", settings={"database": "paystream_raw"})
    assert refused.value.code == ACCESS_DENIED


def test_files_are_not_written(analyst: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        analyst.command("SELECT 1 INTO OUTFILE '/tmp/analyst.txt'")
    assert refused.value.code == 358


@pytest.mark.parametrize(
    ("asked", "found"), [("5", "5"), ("1000", "30"), ("0", "30"), ("0.5", "0.5"), ("30", "30")]
)
def test_a_limit_that_a_client_sends_is_limited_and_not_refused(
    clickhouse_url: str, analyst: Client, asked: str, found: str
) -> None:
    """Grafana and JDBC send max_execution_time with each query, SELECT 1 too."""
    sql = "SELECT value FROM system.settings WHERE name = 'max_execution_time' FORMAT TSV"
    settings = {"max_execution_time": asked, "readonly": "2", "user": "analyst", "query": sql}
    answer = httpx2.get(clickhouse_url, params=settings)
    assert (answer.status_code, answer.text.strip()) == (200, found)


def test_other_settings_of_a_reader_are_refused(clickhouse_url: str, analyst: Client) -> None:
    for name, value in (("allow_ddl", "1"), ("max_execution_time", "'; DROP")):
        answer = httpx2.get(
            clickhouse_url, params={name: value, "user": "analyst", "query": "SELECT 1"}
        )
        assert answer.headers["X-ClickHouse-Exception-Code"] in ("164", "72")
