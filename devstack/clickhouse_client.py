"""A ClickHouse client from a URL such as http://user:secret@127.0.0.1:8123/paystream."""

import logging
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client


def connect(url: str, database: str | None = None) -> Client:
    """An unmodified clickhouse-connect client; raises its errors if nobody answers."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it raises what it logs
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 8123,
        username=unquote(parts.username) if parts.username else "default",
        password=unquote(parts.password or ""),
        database=database or parts.path.strip("/") or "default",
        secure=parts.scheme == "https",
        autogenerate_session_id=False,
    )
