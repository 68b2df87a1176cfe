"""Reads all events of a payment from ClickHouse, through its stable view."""

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from threading import Lock

from clickhouse_connect.driver.client import Client

from runtime.clickhouse import UNAVAILABLE, connect
from runtime.store_connections import ClickHouseConnection

_EVENTS = """
SELECT record FROM {views}.payment_events
WHERE merchant_id = {{merchant_id:String}} AND payment_id = {{payment_id:String}}
  AND sequence <= {{sequence:UInt64}} AND record != ''
ORDER BY sequence
"""


class EventStoreUnavailable(Exception):
    """ClickHouse did not respond, or not with events; nothing is known about the payment."""


class ClickHouseEvents:
    """The view `payment_events`; connects at the first query and again after each failure."""

    def __init__(
        self, where: ClickHouseConnection, views_database: str, timeout_seconds: int
    ) -> None:
        self._where = where
        self._sql = _EVENTS.format(views=views_database)
        self._timeout_seconds = timeout_seconds
        self._client: Client | None = None
        self._lock = Lock()

    async def records(self, merchant_id: str, payment_id: str, sequence: int) -> list[bytes]:
        """Up to `sequence` events in their order, as they are on the topic.

        Raises EventStoreUnavailable.
        """
        parameters: dict[str, str | int] = {
            "merchant_id": merchant_id,
            "payment_id": payment_id,
            "sequence": sequence,
        }
        return await asyncio.to_thread(self._records, parameters)

    def close(self) -> None:
        """Close the connection; the next query makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _records(self, parameters: dict[str, str | int]) -> list[bytes]:
        with self._lock:  # one connection, one query at a time
            try:
                if self._client is None:
                    self._client = connect(self._where, self._timeout_seconds)
                rows = self._client.query(self._sql, parameters=parameters).result_rows
                return [b64decode(str(record), validate=True) for (record,) in rows]
            except (*UNAVAILABLE, NotBase64) as error:
                self.close()
                raise EventStoreUnavailable(f"{type(error).__name__}: {error}") from error
