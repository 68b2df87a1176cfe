"""The HTTP interface itself, as curl and other clients see it."""

from __future__ import annotations

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import httpx2
import lz4.block
import pytest

from devstack.clickhouse_http.engine import QUERIES_AT_ONCE_MAX
from devstack.clickhouse_http.native_compression import block, checksum
from devstack.services import clickhouse
from devstack.services.child import Child, ChildFailedError
from devstack.services.ports import free_port

pytestmark = pytest.mark.services


def test_ping_and_unknown_paths(clickhouse_url: str) -> None:
    assert httpx2.get(f"{clickhouse_url}/ping").text == "Ok.\n"
    assert httpx2.get(f"{clickhouse_url}/play").status_code == 404


def test_formats_and_headers(clickhouse_url: str) -> None:
    answer = httpx2.post(
        clickhouse_url, params={"query_id": "mine"}, content="SELECT 1 AS x FORMAT JSON"
    )
    assert answer.json()["data"] == [{"x": 1}]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Format"] == "JSON"
    assert int(json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"]) == 1
    named = httpx2.post(
        clickhouse_url, params={"default_format": "CSVWithNames"}, content="SELECT 1 AS x, 'a' AS y"
    )
    assert named.text == '"x","y"\n1,"a"\n'


@pytest.mark.parametrize("rows", [1, 200_000])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_answers_are_packed_only_when_asked(clickhouse_url: str, encoding: str, rows: int) -> None:
    query = {"query": f"SELECT number, 'payment' FROM numbers({rows}) FORMAT CSV"}
    accept = {"Accept-Encoding": encoding}
    plain = httpx2.get(clickhouse_url, params=query, headers=accept)
    assert "Content-Encoding" not in plain.headers
    packed = httpx2.get(
        clickhouse_url, params={**query, "enable_http_compression": "1"}, headers=accept
    )
    assert packed.headers.get("Content-Encoding", "identity") == encoding
    assert packed.text == plain.text
    assert plain.text.count("\n") == rows


def test_get_reads_only(clickhouse_url: str) -> None:
    answer = httpx2.get(clickhouse_url, params={"query": "CREATE DATABASE by_get"})
    assert answer.status_code == 500
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELECT x", 404, "47"),
        ("SELECT FROM WHERE", 400, "62"),
        ("SELECT 1 FROM nowhere", 404, "60"),
        ("", 400, "62"),
        ("SELECT throwIf(1)", 500, "395"),
    ],
)
def test_status_and_code_of_errors(clickhouse_url: str, query: str, status: int, code: str) -> None:
    answer = httpx2.post(clickhouse_url, content=query)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


@pytest.mark.parametrize(
    ("params", "headers", "what"),
    [
        ({"role": "admin"}, {}, "roles"),
        ({}, {"Content-Type": "multipart/form-data; boundary=x"}, "multipart"),
    ],
)
def test_what_is_not_offered_says_so(
    clickhouse_url: str, params: dict[str, str], headers: dict[str, str], what: str
) -> None:
    answer = httpx2.post(clickhouse_url, params=params, headers=headers, content="SELECT 1")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert what in answer.text


def test_merges_yield_to_inserts_and_questions(clickhouse_url: str) -> None:
    asked = (
        "SELECT value FROM system.server_settings WHERE name = 'os_threads_nice_value_merge_mutate'"
    )
    assert int(httpx2.post(clickhouse_url, content=asked).text) > 0


def test_inserts_in_text_formats(clickhouse_url: str, clickhouse_database: str) -> None:
    where = {"database": clickhouse_database}

    def run(sql: str, data: str = "") -> str:
        params = {**where, "query": sql} if data else where
        answer = httpx2.post(clickhouse_url, params=params, content=data or sql)
        assert answer.status_code == 200, answer.text
        return answer.text

    run("CREATE TABLE t (n UInt8, s String) ENGINE = MergeTree ORDER BY n")
    run("INSERT INTO t VALUES (1, 'a;b'), (2, 'c')")
    run("INSERT INTO t FORMAT CSV", '3,"d"\n4,"e"\n')
    run('INSERT INTO t FORMAT JSONEachRow\n{"n":5,"s":"f"}')
    run("INSERT INTO t SELECT n + 10, s FROM t")
    assert run("SELECT count(), sum(n) FROM t") == "10\t80\n"


def test_a_large_insert_is_read_whole(clickhouse_url: str, clickhouse_database: str) -> None:
    """Beyond 1 MiB, behind a statement in the target: straight into the file the engine reads."""
    table, rows = f"{clickhouse_database}.large", 400_000
    ddl = f"CREATE TABLE {table} (n UInt32) ENGINE = MergeTree ORDER BY n"
    httpx2.post(clickhouse_url, content=ddl).raise_for_status()
    target = {"query": f"INSERT INTO {table} (n) FORMAT RowBinary"}
    body = b"".join(n.to_bytes(4, "little") for n in range(rows))
    for _ in range(2):
        httpx2.post(clickhouse_url, params=target, content=body).raise_for_status()
    broken = httpx2.post(clickhouse_url, params=target, content=body + b"!")
    assert "X-ClickHouse-Exception-Code" in broken.headers, "it ends within a row"
    found = httpx2.post(clickhouse_url, content=f"SELECT count(), sum(n) FROM {table}").text
    assert found.split() == [str(2 * rows), str(rows * (rows - 1))]


def test_a_chunked_body_is_read_whole(clickhouse_url: str, clickhouse_database: str) -> None:
    table = f"{clickhouse_database}.chunked"
    ddl = f"CREATE TABLE {table} (n UInt64) ENGINE = MergeTree ORDER BY n"
    httpx2.post(clickhouse_url, content=ddl).raise_for_status()
    lines = (f"{n}\n".encode() for n in range(5_000))
    httpx2.post(
        clickhouse_url, params={"query": f"INSERT INTO {table} FORMAT TSV"}, content=lines
    ).raise_for_status()
    assert httpx2.post(clickhouse_url, content=f"SELECT sum(n) FROM {table}").text == "12497500\n"


def test_a_large_answer_is_streamed_in_bounded_memory(tmp_path: Path) -> None:
    launch = clickhouse.launch(tmp_path / "data", port := free_port(), tmp_path)
    child = Child(launch)
    try:
        child.wait_ready()
        query = "SELECT repeat('x', 1000) FROM numbers(1000000) FORMAT RowBinary"
        query += " SETTINGS max_block_size = 8192"  # a few blocks are in flight
        before = child.memory_bytes_max()
        size = 0
        with httpx2.stream("POST", clickhouse.url(port), content=query, timeout=60) as answer:
            assert answer.headers["Transfer-Encoding"] == "chunked"
            for piece in answer.iter_bytes():
                size += len(piece)
        assert size == 1_002_000_000
        assert child.memory_bytes_max() - before < 300_000 * 1024
    finally:
        child.kill_group()


def test_what_was_acknowledged_survives_kill_and_stop(tmp_path: Path) -> None:
    launch = clickhouse.launch(tmp_path / "data", port := free_port(), tmp_path)
    expected = 0
    for end in ("kill", "stop", "kill"):
        child = Child(launch)
        child.wait_ready()
        with clickhouse_connect.get_client(dsn=clickhouse.url(port)) as client:
            client.command(
                "CREATE TABLE IF NOT EXISTS kept (n UInt64) ENGINE = MergeTree ORDER BY n"
            )
            assert client.command("SELECT count() FROM kept") == expected
            for _ in range(5):
                client.insert("kept", [[expected + n] for n in range(1_000)])
                expected += 1_000
        if end == "kill":
            child.kill_group()
        else:
            assert child.stop(12) == 0


def test_a_stop_waits_for_a_running_query(tmp_path: Path) -> None:
    launch = clickhouse.launch(tmp_path / "data", port := free_port(), tmp_path)
    child = Child(launch)
    child.wait_ready()
    url = clickhouse.url(port)
    slow = "SELECT sum(sleepEachRow(0.5)) FROM numbers(6) SETTINGS max_block_size = 1"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(6)%'"
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(httpx2.post, url, content=slow, timeout=30)
        while int(httpx2.post(url, content=running).text) < 2:  # it, and this one
            assert not pending.done()
        assert child.stop(12) == 0
        assert pending.result().text == "0\n"


def test_a_second_owner_of_the_directory_learns_who_has_it(tmp_path: Path) -> None:
    first = Child(clickhouse.launch(tmp_path / "data", free_port(), tmp_path))
    try:
        first.wait_ready()
        second = Child(clickhouse.launch(tmp_path / "data", free_port(), tmp_path / "second"))
        with pytest.raises(ChildFailedError, match=f"already served by.*pid {first.pid}"):
            second.wait_ready()
        second.kill_group()
    finally:
        first.kill_group()


def test_more_requests_than_run_at_once_wait_their_turn(clickhouse_url: str) -> None:
    query = "SELECT sum(sleepEachRow(0.1)) FROM numbers(2)"
    with ThreadPoolExecutor(QUERIES_AT_ONCE_MAX * 2) as pool:
        answers = pool.map(
            lambda _: httpx2.post(clickhouse_url, content=query, timeout=60).status_code,
            range(QUERIES_AT_ONCE_MAX * 2),
        )
        assert set(answers) == {200}


def blocks_of(data: bytes) -> bytes:
    """What the blocks of ClickHouse's own compression hold; each checksum is right."""
    plain, at = [], 0
    while at < len(data):
        length, size = struct.unpack_from("<II", data, at + 17)
        body = data[at + 16 : at + 16 + length]
        assert struct.unpack_from("<QQ", data, at) == checksum(body)
        assert len(body) - 9 == size
        plain.append(body[9:])
        at += 16 + length
    return b"".join(plain)


@pytest.mark.parametrize("rows", [0, 1, 100_000, 400_000])
def test_jdbc_and_rust_clients_are_answered(clickhouse_url: str, rows: int) -> None:
    """They send compress=1, which was refused; the longest answer comes in chunks."""
    sql = f"SELECT number FROM numbers({rows}) FORMAT TSV"
    answer = httpx2.post(clickhouse_url, params={"compress": "1"}, content=sql)
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers
    plain = "".join(f"{number}\n" for number in range(rows)).encode()
    assert blocks_of(answer.content) == plain


def test_a_body_in_clickhouses_own_compression_is_read(clickhouse_url: str) -> None:
    sql = b"SELECT 'x' || toString(1 + 1) FORMAT TSV"
    packed = lz4.block.compress(sql, store_size=False)
    with_lz4 = bytes(16) + struct.pack("<BII", 0x82, len(packed) + 9, len(sql)) + packed
    for body in (block(sql), with_lz4, block(sql[:9]) + block(sql[9:])):
        answer = httpx2.post(clickhouse_url, params={"decompress": "1"}, content=body)
        assert (answer.status_code, answer.text) == (200, "x2\n")
    for body in (sql, block(sql)[:-1], with_lz4[:16] + b"\x77" + with_lz4[17:]):
        answer = httpx2.post(clickhouse_url, params={"decompress": "1"}, content=body)
        assert answer.headers["X-ClickHouse-Exception-Code"] in ("271", "307")
