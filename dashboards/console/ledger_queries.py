"""What the console asks ClickHouse: the same views that analysts read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from dashboards.console.settings import ConsoleSettings
from runtime.clickhouse import connect
from runtime.store_connections import ClickHouseConnection
from schemas.money import EXPONENTS

Rows = list[dict[str, Any]]
_DIGITS_MAX = max(EXPONENTS.values())

OVERVIEW: dict[str, str] = {
    "payments": """
        SELECT status, count() AS payments FROM {views}.payments
        GROUP BY status ORDER BY payments DESC""",
    "throughput": """
        SELECT toUnixTimestamp(toStartOfInterval(occurred_at, INTERVAL 10 SECOND)) AS at,
            countIf(type = 'payment.created') AS created,
            countIf(type = 'payment.captured') AS captured,
            countIf(type IN ('payment.declined', 'payment.failed')) AS refused
        FROM {views}.payment_events
        WHERE occurred_at > now() - toIntervalMinute({minutes:UInt32}) GROUP BY at ORDER BY at""",
    "trial_balance": """
        SELECT account, state, currency, balance_minor, balance_decimal FROM {views}.trial_balance
        WHERE balance_minor != 0 ORDER BY currency, state, account""",
    "imbalances": """
        SELECT currency, state, sum(balance_minor) AS balance_minor FROM {views}.trial_balance
        GROUP BY currency, state ORDER BY currency, state""",
    "webhooks": """
        SELECT result, count() AS attempts FROM {views}.webhook_attempts
        WHERE attempted_at > now() - INTERVAL 1 HOUR GROUP BY result ORDER BY result""",
    "payouts": """
        SELECT mode, status, currency, count() AS payouts, sum(amount_decimal) AS amount
        FROM {views}.payouts GROUP BY mode, status, currency ORDER BY mode, status, currency""",
    "dead_letters": """
        SELECT source_app, reason_code, count() AS records, max(failed_at) AS newest
        FROM {views}.dead_letters GROUP BY source_app, reason_code ORDER BY records DESC""",
    "freshness": """
        SELECT table_name, kafka_topic, last_event_at, delay_seconds, idle_seconds
        FROM {views}.freshness ORDER BY table_name""",
    "recent": """
        SELECT payment_id, merchant_id, status, currency, requested_decimal, captured_decimal,
            updated_at
        FROM {views}.payments ORDER BY updated_at DESC LIMIT {recent:UInt32}""",
}
"""Section -> query. `{views}` is the database; the rest are ClickHouse parameters."""

PAYMENT: dict[str, str] = {
    "payment": "SELECT * FROM {views}.payments WHERE payment_id = {payment_id:String}",
    "events": """
        SELECT sequence, type, status, occurred_at, amount_decimal, fee_decimal, currency,
            source, operation, reason, decline_code, command_id
        FROM {views}.payment_events WHERE payment_id = {payment_id:String} ORDER BY sequence""",
    "ledger": """
        SELECT occurred_at, transaction_type, account, state, direction, amount_decimal, currency
        FROM {views}.ledger_entries WHERE payment_id = {payment_id:String}
        ORDER BY kafka_offset, leg""",
    "webhooks": """
        SELECT attempted_at, event_id, endpoint_id, attempt, result, http_status, error, latency_ms
        FROM {views}.webhook_attempts WHERE payment_id = {payment_id:String}
        ORDER BY attempted_at""",
    "payouts": """
        SELECT i.payout_id AS payout_id, i.item_id AS item_id, i.amount_decimal AS amount_decimal,
            i.currency AS currency, p.status AS status, p.finished_at AS finished_at
        FROM {views}.payout_items AS i LEFT JOIN {views}.payouts AS p ON p.payout_id = i.payout_id
        WHERE i.payment_id = {payment_id:String} ORDER BY item_id""",
}
"""Section of a payment's page -> query."""


class LedgerReader:
    """Queries ClickHouse; connects at the first query and again after each failure."""

    def __init__(self, where: ClickHouseConnection, settings: ConsoleSettings) -> None:
        self._where = where
        self._settings = settings
        self._client: Client | None = None

    def section(self, name: str) -> Rows:
        """Rows of an overview section. Raises the client's errors."""
        minutes, recent = self._settings.throughput_minutes, self._settings.recent_payments
        return self._rows(OVERVIEW[name], {"minutes": minutes, "recent": recent})

    def payment(self, payment_id: str) -> dict[str, Rows]:
        """All about one payment; empty lists if it is unknown. Raises the client's errors."""
        parameters = {"payment_id": payment_id}
        return {name: self._rows(sql, parameters) for name, sql in PAYMENT.items()}

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        if self._client is None:
            self._client = connect(self._where, self._settings.answer_seconds_max)
        try:
            answer = self._client.query(
                sql.replace("{views}", self._settings.views_database), parameters=dict(parameters)
            )
        except Exception:
            self._client = None
            raise
        names = answer.column_names
        return [_plain(dict(zip(names, row, strict=True))) for row in answer.result_rows]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them: money as text with its currency's decimals, times RFC 3339."""
    digits = EXPONENTS.get(row.get("currency", ""), _DIGITS_MAX)
    return {name: _value(value, digits) for name, value in row.items()}


def _value(value: Any, digits: int) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.{digits}f}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat(timespec="milliseconds")
    return value
