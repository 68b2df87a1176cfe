"""ClickHouse URLs as options of the client."""

from __future__ import annotations

from paystream.operations.clickhouse_client import options_of


def test_a_whole_url_says_everything() -> None:
    assert options_of("http://ana%40shop:s%2Fcret@db.example:9000/ledger") == {
        "host": "db.example",
        "port": 9000,
        "username": "ana@shop",
        "password": "s/cret",
        "database": "ledger",
        "secure": False,
    }


def test_what_a_url_leaves_out_is_clickhouses_default() -> None:
    options = options_of("http://127.0.0.1")
    assert (options["port"], options["username"], options["password"]) == (8123, "default", "")
    assert options["database"] == "default"


def test_https_has_its_own_port_and_a_named_database_wins() -> None:
    options = options_of("https://db.example/ledger", "paystream")
    assert (options["port"], options["secure"], options["database"]) == (8443, True, "paystream")
