"""The one way to connect to ClickHouse."""

import logging
from typing import Any
from urllib.parse import unquote

import clickhouse_connect
import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from runtime.store_connections import ClickHouseConnection

UNAVAILABLE = (ClickHouseError, urllib3.exceptions.HTTPError, OSError)
"""What a client raises when the server is unavailable or busy, or rejects a statement."""
_CONNECT_SECONDS_MAX = 10


def connect(
    where: ClickHouseConnection, timeout_seconds: int = 300, database: str | None = None
) -> Client:
    """A client without a session, so that requests may overlap; `database` wins over the URL's.

    Raises one of UNAVAILABLE.
    """
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it raises what it logs
    return clickhouse_connect.get_client(
        **options_of(where, database),
        send_receive_timeout=timeout_seconds,
        connect_timeout=min(timeout_seconds, _CONNECT_SECONDS_MAX),
        autogenerate_session_id=False,
    )


def options_of(where: ClickHouseConnection, database: str | None = None) -> dict[str, Any]:
    """The connection as the client's options; the scheme alone decides about TLS."""
    parts = where.parts
    secure = parts.scheme == "https"
    password = unquote(parts.password or "") or where.password
    options: dict[str, Any] = {
        "host": parts.hostname,
        "port": where.port,
        "interface": parts.scheme,
        "username": unquote(parts.username) if parts.username else "default",
        "password": password,
        "database": database or unquote(parts.path.strip("/")) or "default",
    }
    if secure:
        options["verify"] = where.verify
        options |= {"ca_cert": where.tls.ca_file} if where.tls.ca_file else {}
    if secure and where.tls.certificate_file:
        options |= {
            "client_cert": where.tls.certificate_file,
            "client_cert_key": where.tls.key_file,
            "tls_mode": "strict" if password else "mutual",
        }
    return options
