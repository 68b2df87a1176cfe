"""What the ClickHouse server reads from a statement's text."""

from __future__ import annotations

import pytest

from devstack.clickhouse_http.errors import ClickHouseError
from devstack.clickhouse_http.sql_text import insert_head, masked, statement


def test_masking_keeps_the_length_and_hides_literals() -> None:
    sql = "SELECT 'a;\\'b''c', `x;y` /* ; */ -- FORMAT\n, \";\" FROM t"
    hidden = masked(sql)
    assert len(hidden) == len(sql)
    assert ";" not in hidden
    assert "FORMAT" not in hidden
    assert hidden.endswith("FROM t")


@pytest.mark.parametrize(
    ("sql", "name", "rest"),
    [
        ("SELECT 1 FORMAT JSON", "JSON", "SELECT 1 "),
        ("SELECT 1\nformat Native;\n", "Native", "SELECT 1\n"),
        ("SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV", "SELECT 1 "),
        ("SELECT 'x FORMAT JSON'", None, "SELECT 'x FORMAT JSON'"),
        ("SELECT format('{}', a) FROM t", None, "SELECT format('{}', a) FROM t"),
    ],
)
def test_the_trailing_format(sql: str, name: str | None, rest: str) -> None:
    read = statement(sql)
    assert read.format_name == name
    assert read.without_format == rest


def test_a_format_that_is_not_at_the_end_is_noticed() -> None:
    read = statement("SELECT * FROM (SELECT 1) FORMAT JSON SETTINGS a = ';' , b = 2")
    assert read.mentions_format


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1; DROP TABLE t;", 62),
        ("SELECT \u2018a\u2019; SELECT 2", 62),
        ("SELECT $x$;$x$", 62),
        ("SELECT \u201ca\u201d", 62),
        ("SELECT 1 INTO OUTFILE '/x'", 358),
        ("SET max_threads = 1", 48),
        ("USE paystream", 48),
        ("CREATE TEMPORARY TABLE t (a Int8)", 48),
    ],
)
def test_what_is_refused_before_the_engine(sql: str, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        statement(sql)
    assert refused.value.code == code


@pytest.mark.parametrize("sql", ["SELECT ';'", "SELECT 1 -- ; \n", "SELECT 1;", "SELECT '\u2018'"])
def test_what_only_looks_like_it(sql: str) -> None:
    assert statement(sql).reads_rows


def test_the_head_of_an_insert_with_data() -> None:
    body = b"INSERT INTO db.t (`a`, b) SETTINGS x = 1 FORMAT Native\n\x01\x00FORMAT CSV"
    head = insert_head(body)
    assert head is not None
    assert head.text == "INSERT INTO db.t (`a`, b) SETTINGS x = 1 "
    assert head.format_name == "Native"
    assert body[head.data_start :] == b"\x01\x00FORMAT CSV"


@pytest.mark.parametrize(
    "body",
    [
        b"INSERT INTO t VALUES (1)",
        b"INSERT INTO t SELECT * FROM u FORMAT Null",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"",
    ],
)
def test_what_is_no_insert_with_data(body: bytes) -> None:
    assert insert_head(body) is None


def test_a_comment_before_the_insert_and_names_beyond_ascii() -> None:
    head = insert_head("-- caf\u00e9\nINSERT INTO `t\u00fc` FORMAT CSV\n1".encode())
    assert head is not None
    assert head.text.rstrip().endswith("`t\u00fc`")
