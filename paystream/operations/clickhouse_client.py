"""A ClickHouse client from a URL such as http://user:secret@127.0.0.1:8123/paystream."""

import logging
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

HTTP_PORT = 8123
HTTPS_PORT = 8443


def connect(url: str, database: str | None = None) -> Client:
    """An unmodified clickhouse-connect client; raises its errors if nobody answers."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it raises what it logs
    return clickhouse_connect.get_client(**options_of(url, database), autogenerate_session_id=False)


def options_of(url: str, database: str | None = None) -> dict[str, Any]:
    """The URL as the client's options; `database` wins over the URL's."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or (HTTPS_PORT if secure else HTTP_PORT),
        "username": unquote(parts.username) if parts.username else "default",
        "password": unquote(parts.password or ""),
        "database": database or parts.path.strip("/") or "default",
        "secure": secure,
    }
