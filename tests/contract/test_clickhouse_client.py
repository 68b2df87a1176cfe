"""An unmodified clickhouse-connect client against the embedded ClickHouse."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from polling import eventually

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.fixture
def client(clickhouse_url: str, clickhouse_database: str) -> Iterator[Client]:
    """A client of an empty database, with all defaults (session id included)."""
    with clickhouse_connect.get_client(
        dsn=clickhouse_url, database=clickhouse_database
    ) as connected:
        yield connected


def test_handshake_and_ping(client: Client) -> None:
    assert client.ping()
    assert int(client.server_version.split(".")[0]) >= 26
    assert client.command("SELECT currentDatabase()") == client.database


def test_types_come_back_as_they_went(client: Client) -> None:
    client.command(
        "CREATE TABLE kinds (id UUID, at DateTime64(3, 'UTC'), minor Int64, amount Decimal(38, 9),"
        " currency LowCardinality(String), note Nullable(String), tags Array(String),"
        " attributes Map(String, String), pair Tuple(UInt8, String)) ENGINE = MergeTree ORDER BY id"
    )
    row = (
        uuid.uuid4(), NOW, -(2**62), Decimal("12345678901234567890.123456789"), "KWD", None,
        ["a'b", "ü\n"], {"k": "v\\"}, (7, "x"),
    )  # fmt: skip
    summary = client.insert("kinds", [row])
    assert summary.written_rows == 1
    naive = (row[0], NOW.replace(tzinfo=None), *row[2:])  # how the client shows UTC
    assert client.query("SELECT * FROM kinds").result_rows == [naive]


@pytest.mark.parametrize(
    "text", ["", "it's", "back\\slash", "tab\tnew\nline", "ü€😀", "{x:String}"]
)
def test_parameters_are_values_and_never_sql(client: Client, text: str) -> None:
    result = client.query(
        "SELECT {text:String}, {list:Array(String)}, {n:Int64}, {at:DateTime64(3, 'UTC')}",
        parameters={"text": text, "list": [text, "b"], "n": -5, "at": NOW},
    )
    assert result.result_rows == [(text, [text, "b"], -5, NOW.replace(tzinfo=None))]


@pytest.mark.parametrize("compress", [False, "zstd", "lz4", "gzip"])
def test_a_hundred_thousand_rows_in_one_insert(
    clickhouse_url: str, clickhouse_database: str, compress: bool | str
) -> None:
    with clickhouse_connect.get_client(
        dsn=clickhouse_url, database=clickhouse_database, compress=compress
    ) as client:
        client.command("CREATE TABLE entries (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
        numbers = list(range(100_000))
        columns = [numbers, [f"payment {n}" for n in numbers]]
        summary = client.insert("entries", columns, column_oriented=True)
        assert summary.written_rows == 100_000
        found = client.query("SELECT count(), sum(n), uniqExact(s) FROM entries").result_rows
        assert found == [(100_000, sum(numbers), 100_000)]
        assert len(client.query("SELECT * FROM entries").result_rows) == 100_000


def test_settings_hold_for_one_query(client: Client) -> None:
    asked = "SELECT toUInt64(getSetting('max_block_size'))"
    usual = client.command(asked)
    assert client.command(asked, settings={"max_block_size": 1_234}) == 1_234
    assert client.command(asked) == usual
    with pytest.raises(DatabaseError, match=r"UNKNOWN_SETTING|Unknown setting"):
        client.raw_query("SELECT 1", settings={"no_such_setting_here": 1})


def test_an_empty_answer_still_names_its_columns(client: Client) -> None:
    client.command("CREATE TABLE nothing (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    result = client.query("SELECT b, a FROM nothing WHERE a > {n:UInt8}", parameters={"n": 1})
    assert result.column_names == ("b", "a")
    assert [kind.name for kind in result.column_types] == ["String", "UInt64"]
    assert result.result_rows == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nonsense", 47),
        ("SELEC 1", 62),
        ("SELECT * FROM no_such_table", 60),
        ("SELECT * FROM no_such_database.t", 81),
        ("SELECT throwIf(1)", 395),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1", 159),
        ("SET max_threads = 1", 48),
    ],
)
def test_errors_carry_the_engines_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.command(sql)
    assert refused.value.code == code


def test_a_refused_insert_writes_nothing(client: Client) -> None:
    client.command(
        "CREATE TABLE checked (n Int64, CONSTRAINT positive CHECK n > 0)"
        " ENGINE = MergeTree ORDER BY n"
    )
    with pytest.raises(DatabaseError, match="positive"):
        client.insert("checked", [[1], [2], [-3]])
    assert client.command("SELECT count() FROM checked") == 0


def test_a_refused_materialized_view_refuses_the_insert(client: Client) -> None:
    client.command("CREATE TABLE source (n Int64) ENGINE = MergeTree ORDER BY n")
    client.command("CREATE TABLE target (n Int64) ENGINE = MergeTree ORDER BY n")
    client.command(
        "CREATE MATERIALIZED VIEW flow TO target AS SELECT n + throwIf(n = 7) AS n FROM source"
    )
    client.insert("source", [[6]])
    with pytest.raises(DatabaseError, match="395"):
        client.insert("source", [[7]])
    assert client.query("SELECT n FROM target").result_rows == [(6,)]


def test_an_insert_takes_settings_and_unusual_names(client: Client) -> None:
    client.command("CREATE TABLE `odd table` (`a settings b` Int64) ENGINE = MergeTree ORDER BY ()")
    client.insert(
        "`odd table`", [[1]], column_names=["a settings b"], settings={"max_insert_threads": 1}
    )
    text = "INSERT INTO `odd table` (`a settings b`) SETTINGS max_threads = 1 FORMAT CSV\n2\n"
    client.command(text)
    assert client.query("SELECT sum(`a settings b`) FROM `odd table`").result_rows == [(3,)]


def test_a_large_answer_comes_in_pieces(client: Client) -> None:
    rows = 0
    with client.query_row_block_stream(
        "SELECT number, repeat('x', 100) FROM numbers(2000000)"
    ) as blocks:
        for block in blocks:
            rows += len(block)
    assert rows == 2_000_000


def test_an_error_after_the_first_piece_is_noticed(client: Client) -> None:
    late = "SELECT throwIf(number = 3000000) FROM numbers(5000000) SETTINGS max_threads = 1"
    with (
        pytest.raises(StreamFailureError, match="395"),
        client.query_row_block_stream(late) as blocks,
    ):
        for _ in blocks:
            pass
    assert client.command("SELECT 1") == 1


def test_a_reader_that_leaves_early_leaves_no_query_behind(client: Client) -> None:
    """The server sees that a reader is gone when it next writes to it: soon, not at once."""
    for _ in range(12):  # more than run at once: a slot that is not given back would block
        stream = client.raw_stream("SELECT repeat('x', 1000) FROM numbers(20000)", fmt="CSV")
        stream.read(10)
        stream.close()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(20000)%'"
    others = f"{running} AND query NOT LIKE '%processes%'"
    eventually(lambda: not client.command(others), "no query without its reader", 10)


def test_many_clients_write_and_read_at_once(clickhouse_url: str, clickhouse_database: str) -> None:
    def connect() -> Client:
        return clickhouse_connect.get_client(dsn=clickhouse_url, database=clickhouse_database)

    def write(writer: int) -> int:
        with connect() as client:
            for batch in range(5):
                rows = [[writer, batch * 1_000 + n] for n in range(1_000)]
                client.insert("shared", rows)
                seen = client.command(f"SELECT count() FROM shared WHERE writer = {writer}")
                assert seen == (batch + 1) * 1_000
        return writer

    with connect() as client:
        client.command(
            "CREATE TABLE shared (writer UInt8, n UInt64) ENGINE = MergeTree ORDER BY (writer, n)"
        )
        with ThreadPoolExecutor(12) as pool:
            assert sorted(pool.map(write, range(12))) == list(range(12))
        found = client.query("SELECT count(), uniqExact(writer, n) FROM shared").result_rows
        assert found == [(60_000, 60_000)]


def test_a_slow_query_does_not_hold_up_the_others(client: Client, clickhouse_url: str) -> None:
    slow = "SELECT sum(sleepEachRow(0.5)) FROM numbers(6) SETTINGS max_block_size = 1"
    with ThreadPoolExecutor(1) as pool, clickhouse_connect.get_client(dsn=clickhouse_url) as other:
        pending = pool.submit(client.command, slow)
        assert other.command("SELECT 1") == 1
        assert not pending.done()
        assert pending.result(timeout=30) == 0


def test_views_comments_and_deduplication(client: Client) -> None:
    client.command(
        "CREATE TABLE raw (id UInt64 COMMENT 'who', v UInt64) ENGINE = ReplacingMergeTree(v)"
        " ORDER BY id"
    )
    client.command("CREATE VIEW latest AS SELECT id, v FROM raw FINAL")
    client.insert("raw", [[1, 1], [2, 1]])
    client.insert("raw", [[1, 2]])
    assert client.query("SELECT * FROM latest ORDER BY id").result_rows == [(1, 2), (2, 1)]
    comment = "SELECT comment FROM system.columns WHERE database = {d:String} AND name = 'id'"
    assert ("who",) in client.query(comment, parameters={"d": client.database}).result_rows


async def test_the_asynchronous_client_too(clickhouse_url: str) -> None:
    client = await clickhouse_connect.get_async_client(dsn=clickhouse_url)
    result = await client.query("SELECT number FROM numbers(3)")
    assert result.result_rows == [(0,), (1,), (2,)]
    await client.close()
