"""A connection to ClickHouse for our own processes."""

import clickhouse_connect
import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

UNAVAILABLE = (ClickHouseError, urllib3.exceptions.HTTPError, OSError)
"""What a client raises when the server is unavailable or busy, or rejects a statement."""


def connect(url: str, timeout_seconds: int) -> Client:
    """A client of CLICKHOUSE_URL without a session, so that requests may overlap.

    Raises one of UNAVAILABLE.
    """
    return clickhouse_connect.get_client(
        dsn=url,
        send_receive_timeout=timeout_seconds,
        connect_timeout=timeout_seconds,
        autogenerate_session_id=False,
    )
