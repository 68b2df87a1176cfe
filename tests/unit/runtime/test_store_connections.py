"""Addresses of ClickHouse and Valkey: TLS by the scheme alone, wrong ones get a sentence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import RedisError

from devstack.services.certificates import certificates_in
from runtime import clickhouse, valkey
from runtime.clickhouse import UNAVAILABLE, options_of
from runtime.settings import ConfigurationError, connections
from runtime.store_connections import ClickHouseConnection, ValkeyConnection

TLS_HANDSHAKE = b"\x16\x03"


class Overheard:
    """What a client said before anybody answered."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(5)
            self.heard = connection.recv(65_536)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


@contextmanager
def overheard() -> Iterator[Overheard]:
    found = Overheard()
    yield found
    found.close()


def test_https_is_tls_on_every_port() -> None:
    """It was spoken in clear text, with the password, on any port but 443 and 8443."""
    with overheard() as listener:
        where = ClickHouseConnection(f"https://audit:p%40ss@127.0.0.1:{listener.port}")
        with pytest.raises(UNAVAILABLE):
            clickhouse.connect(where, 1)
    assert listener.heard.startswith(TLS_HANDSHAKE)
    assert b"Authorization" not in listener.heard


def test_rediss_is_tls() -> None:
    with overheard() as listener:
        where = ValkeyConnection(f"rediss://:p%40ss@127.0.0.1:{listener.port}/0")
        with pytest.raises(RedisError):
            valkey.connect(where, 1).ping()
    assert listener.heard.startswith(TLS_HANDSHAKE)
    assert b"AUTH" not in listener.heard


def test_a_whole_url_says_everything() -> None:
    where = ClickHouseConnection("http://ana%40shop:s%2Fcret@db.example:9000/ledger")
    assert options_of(where) == {
        "host": "db.example",
        "port": 9000,
        "interface": "http",
        "username": "ana@shop",
        "password": "s/cret",
        "database": "ledger",
    }


def test_what_a_url_leaves_out_is_clickhouses_default() -> None:
    options = options_of(ClickHouseConnection("http://127.0.0.1"))
    assert (options["port"], options["username"], options["password"]) == (8123, "default", "")
    assert options["database"] == "default"


def test_https_has_its_own_port_and_a_named_database_wins() -> None:
    options = options_of(ClickHouseConnection("https://db.example/ledger"), "paystream")
    assert (options["port"], options["interface"]) == (8443, "https")
    assert (options["database"], options["verify"]) == ("paystream", True)


def test_a_password_beside_the_url_is_the_users() -> None:
    env = {
        "CLICKHOUSE_URL": "https://audit@db.example",
        "ANALYST_CLICKHOUSE_URL": "https://analyst@db.example",
        "PAYSTREAM_CLICKHOUSE_PASSWORD": "one",
        "PAYSTREAM_CLICKHOUSE_ANALYST_PASSWORD": "two",
        "REDIS_URL": "rediss://cache.example:6380/0",
        "PAYSTREAM_VALKEY_PASSWORD": "p@ss/word",
    }
    at = connections(env)
    assert options_of(at.clickhouse)["password"] == "one"
    assert options_of(at.analyst)["password"] == "two"
    assert at.valkey.url == "rediss://:p%40ss%2Fword@cache.example:6380/0"
    for shown in (repr(at), repr(at.clickhouse), repr(at.valkey)):
        assert "one" not in shown.replace("connections", "")
        assert "word" not in shown


def test_without_an_analyst_the_console_reads_as_the_owner() -> None:
    at = connections({"CLICKHOUSE_URL": "http://db.example"})
    assert at.analyst == at.clickhouse


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"CLICKHOUSE_URL": "db.example:8123"}, "CLICKHOUSE_URL is no address"),
        ({"CLICKHOUSE_URL": "http://u:only-here@"}, "CLICKHOUSE_URL is no address"),
        ({"CLICKHOUSE_URL": "http://h:99999"}, "CLICKHOUSE_URL is no address"),
        ({"ANALYST_CLICKHOUSE_URL": "tcp://h:9000"}, "ANALYST_CLICKHOUSE_URL is no address"),
        ({"CLICKHOUSE_URL": "http://h/?secure=true"}, "has a query after `?`. Remove it."),
        (
            {"CLICKHOUSE_URL": "http://u:only-here@h", "PAYSTREAM_CLICKHOUSE_PASSWORD": "x"},
            "CLICKHOUSE_URL has a password, and so has [clickhouse]",
        ),
        (
            {"CLICKHOUSE_URL": "http://h", "PAYSTREAM_CLICKHOUSE_SSL_CA_FILE": "ca.pem"},
            "its address does not begin with https://",
        ),
        (
            {"CLICKHOUSE_URL": "https://h", "PAYSTREAM_CLICKHOUSE_SSL_CA_FILE": "/no/ca.pem"},
            "[clickhouse] names the CA file /no/ca.pem, which cannot be used",
        ),
        ({"REDIS_URL": "valkey.example:6379"}, "REDIS_URL is no address"),
        (
            {"REDIS_URL": "redis://:only-here@h", "PAYSTREAM_VALKEY_PASSWORD": "x"},
            "REDIS_URL has a user or a password",
        ),
        (
            {"REDIS_URL": "redis://h", "PAYSTREAM_VALKEY_SSL_CA_FILE": "ca.pem"},
            "its address does not begin with rediss://",
        ),
    ],
)
def test_a_wrong_address_is_a_sentence(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connections(env)
    assert sentence in str(caught.value)
    assert "only-here" not in str(caught.value)


@pytest.mark.parametrize(("password", "mode"), [("", "mutual"), ("secret", "strict")])
def test_a_client_certificate_goes_along(tmp_path: Path, password: str, mode: str) -> None:
    made = certificates_in(tmp_path)
    env = {
        "CLICKHOUSE_URL": "https://audit@db.example",
        "PAYSTREAM_CLICKHOUSE_PASSWORD": password,
        "PAYSTREAM_CLICKHOUSE_SSL_CA_FILE": str(made.ca_file),
        "PAYSTREAM_CLICKHOUSE_SSL_CERTIFICATE_FILE": str(made.certificate_file),
        "PAYSTREAM_CLICKHOUSE_SSL_KEY_FILE": str(made.key_file),
    }
    options = options_of(connections(env).clickhouse)
    assert options["client_cert"] == str(made.certificate_file)
    assert options["tls_mode"] == mode
