"""Waits until nothing is under way: every record is read and every payment is at rest.

An authorization that waits for the merchant, a customer who has not answered, and a webhook that is
tried again later count as at rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from paystream.operations.lag import wait_caught_up
from runtime.clickhouse import connect
from runtime.kafka import TopicUnreadable
from runtime.kafka_connection import KafkaConnection
from runtime.settings import Connections, connections
from runtime.settings import load as load_settings
from sinks.audit.settings import AuditSettings
from workers.catalogue import GROUPS

CHECK_SECONDS = 1.0
CATCH_UP_SECONDS = 2.0
PAYMENTS_UNDER_WAY = """
SELECT status, count() FROM payments
WHERE status IN ('new', 'authorizing', 'capturing', 'voiding', 'unknown')
   OR (status = 'authorized' AND capture_method = 'automatic'
       AND last_event_type NOT IN ('payment.capture_failed', 'command.rejected'))
GROUP BY status ORDER BY status
"""
REFUNDS_UNDER_WAY = "SELECT count() FROM refunds WHERE status = 'requested'"


class NotSettledError(Exception):
    """Something was still under way when the time was over; the sentence names it."""


@dataclass(frozen=True)
class UnderWay:
    """What is not at rest; `trouble` is why it could not be found out."""

    unread: Mapping[str, int] = field(default_factory=dict)
    payments: Mapping[str, int] = field(default_factory=dict)
    refunds: int = 0
    trouble: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way."""
        return not (self.unread or self.payments or self.refunds or self.trouble)

    def sentence(self) -> str:
        """For people."""
        parts = [f"{group} has {count} records unread" for group, count in self.unread.items()]
        parts += [f"{count} payments are {status}" for status, count in self.payments.items()]
        if self.refunds:
            parts.append(f"{self.refunds} refunds have no outcome")
        if self.trouble:
            parts.append(self.trouble)
        return "; ".join(parts) or "everything is settled"


OnCheck = Callable[[UnderWay], None]


def wait_until_drained(
    env: Mapping[str, str], timeout_seconds: float = 120.0, on_check: OnCheck | None = None
) -> float:
    """Seconds until two checks, `CHECK_SECONDS` apart, found nothing under way.

    Needs KAFKA_BOOTSTRAP_SERVERS and CLICKHOUSE_URL. Raises `NotSettledError` after the time-out,
    `runtime.settings.ConfigurationError`.
    """
    at = connections(env).need("kafka_bootstrap_servers", "clickhouse_url")
    database = load_settings(AuditSettings, "audit", env).views_database
    started = time.monotonic()
    idle_checks = 0
    while True:
        found = under_way(at, database)
        if on_check:
            on_check(found)
        idle_checks = idle_checks + 1 if found.is_settled else 0
        if idle_checks == 2:
            return time.monotonic() - started
        if time.monotonic() - started > timeout_seconds and idle_checks == 0:
            raise NotSettledError(
                f"After {timeout_seconds:.0f} s {found.sentence()}."
                " `paystream topics` shows the lags, `paystream explain pay_…` a payment's path."
            )
        time.sleep(CHECK_SECONDS)


def under_way(at: Connections, database: str) -> UnderWay:
    """What is under way now; a part that does not answer is reported as `trouble`."""
    try:
        unread = unread_records(at.kafka)
    except TopicUnreadable as error:
        return UnderWay(trouble=f"Kafka: {error}")
    if unread:
        return UnderWay(unread=unread)
    try:
        client = connect(at.clickhouse, database=database)
        try:
            rows = client.query(PAYMENTS_UNDER_WAY).result_rows
            refunds = int(client.query(REFUNDS_UNDER_WAY).result_rows[0][0])
        finally:
            client.close()
    except (ClickHouseError, OSError) as error:
        return UnderWay(trouble=f"ClickHouse: {str(error).splitlines()[0]}")
    return UnderWay(payments={str(row[0]): int(row[1]) for row in rows}, refunds=refunds)


def unread_records(kafka: KafkaConnection, groups: Iterable[str] = GROUPS) -> dict[str, int]:
    """Records of now that each group does not read within a moment; groups at the end are left out.

    Raises TopicUnreadable.
    """
    counts: Counter[str] = Counter()
    for one in wait_caught_up(kafka, CATCH_UP_SECONDS, groups):
        counts[one.position.group] += one.records
    return {group: count for group, count in counts.items() if count}
