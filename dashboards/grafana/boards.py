"""Which boards there are: `operations` from metrics, `money` from the ledger's views."""

from __future__ import annotations

from dashboards.grafana.panels import Board, Panel


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[1m]))"


def _quantile(metric: str, quantile: float) -> str:
    return f"histogram_quantile({quantile}, sum by (le) (rate({metric}_bucket[5m])))"


OPERATIONS = Board(
    "paystream-operations",
    "paystream: operations",
    (
        Panel(
            title="Processes that do not answer",
            kind="stat",
            promql={"down": 'count(up{job="paystream"} == 0) or vector(0)'},
            width_units=6,
        ),
        Panel(
            title="Workers ready",
            kind="stat",
            promql={"ready": "sum(paystream_worker_ready)"},
            width_units=6,
        ),
        Panel(
            title="Circuit breaker of the card network",
            kind="stat",
            promql={"0 closed, 2 open": "max(paystream_network_circuit_breaker_state)"},
            width_units=6,
        ),
        Panel(
            title="Dead letters, last hour",
            kind="stat",
            promql={"dead letters": "sum(increase(paystream_worker_dead_letters_total[1h]))"},
            width_units=6,
        ),
        Panel(
            title="API requests",
            kind="timeseries",
            unit="reqps",
            promql={"{{status}}": _rate("paystream_api_requests_total", "status")},
        ),
        Panel(
            title="API latency",
            kind="timeseries",
            unit="s",
            promql={
                "p50": _quantile("paystream_api_request_seconds", 0.5),
                "p99": _quantile("paystream_api_request_seconds", 0.99),
            },
        ),
        Panel(
            title="Payment events",
            kind="timeseries",
            unit="ops",
            promql={"{{type}}": _rate("paystream_payment_events_total", "type")},
        ),
        Panel(
            title="Calls to the card network",
            kind="timeseries",
            unit="ops",
            promql={
                "{{operation}} {{outcome}}": _rate(
                    "paystream_network_calls_total", "operation, outcome"
                )
            },
        ),
        Panel(
            title="Card network latency, retries included",
            kind="timeseries",
            unit="s",
            promql={
                "p50": _quantile("paystream_network_call_seconds", 0.5),
                "p99": _quantile("paystream_network_call_seconds", 0.99),
            },
        ),
        Panel(
            title="In flight",
            kind="timeseries",
            promql={
                "records of the API not acknowledged": "sum(paystream_api_outstanding_records)",
                "network calls": "sum(paystream_network_in_flight)",
            },
        ),
        Panel(
            title="Webhook attempts",
            kind="timeseries",
            unit="ops",
            promql={
                "{{result}}": _rate("paystream_webhook_attempts_total", "result"),
                "pending": "sum(paystream_webhook_pending)",
            },
        ),
        Panel(
            title="Rows into the ledger",
            kind="timeseries",
            unit="rowsps",
            promql={"{{table}}": _rate("paystream_ledger_rows_total", "table")},
        ),
    ),
)

MONEY = Board(
    "paystream-money",
    "paystream: money",
    (
        Panel(
            title="Trial balance (must be 0)",
            kind="table",
            sql="SELECT currency, state, sum(balance_minor) AS balance_minor"
            " FROM trial_balance GROUP BY currency, state ORDER BY currency, state",
            width_units=8,
        ),
        Panel(
            title="Payments by status",
            kind="barchart",
            sql="SELECT status, count() AS payments FROM payments GROUP BY status ORDER BY 2 DESC",
            width_units=8,
        ),
        Panel(
            title="Payouts",
            kind="table",
            sql="SELECT status, currency, count() AS payouts, sum(amount_decimal) AS amount"
            " FROM payouts GROUP BY status, currency ORDER BY status, currency",
            width_units=8,
        ),
        Panel(
            title="Payments per minute",
            kind="timeseries",
            sql="SELECT toStartOfMinute(occurred_at) AS time,"
            " countIf(type = 'payment.created') AS created,"
            " countIf(type = 'payment.captured') AS captured,"
            " countIf(type = 'payment.declined') AS declined"
            " FROM payment_events WHERE occurred_at > now() - INTERVAL 6 HOUR"
            " GROUP BY time ORDER BY time",
        ),
        Panel(
            title="Answers of the card network",
            kind="timeseries",
            unit="percentunit",
            sql="SELECT minute AS time, avg(decided_rate) AS answered"
            " FROM network_health WHERE minute > now() - INTERVAL 6 HOUR"
            " GROUP BY time ORDER BY time",
        ),
        Panel(
            title="Funnel by hour",
            kind="table",
            sql="SELECT hour, mode, currency, created, challenged, authorized, captured, declined,"
            " failed, refunded, capture_rate FROM funnel_hourly ORDER BY hour DESC LIMIT 48",
            width_units=24,
        ),
        Panel(
            title="What merchants are owed",
            kind="table",
            sql="SELECT merchant_id, mode, currency, available_decimal, in_payout_minor,"
            " reserved_minor, paid_out_minor FROM merchant_balances"
            " ORDER BY available_decimal DESC LIMIT 50",
            width_units=16,
        ),
        Panel(
            title="Freshness",
            kind="table",
            unit="s",
            sql="SELECT table_name, delay_seconds, idle_seconds FROM freshness ORDER BY table_name",
            width_units=8,
        ),
        Panel(
            title="Open differences of reconciliation",
            kind="table",
            sql="SELECT kind, currency, count() AS breaks, max(age_seconds) AS oldest_seconds"
            " FROM reconciliation_breaks WHERE state = 'open' GROUP BY kind, currency",
        ),
        Panel(
            title="Dead letters",
            kind="table",
            sql="SELECT source_app, reason_code, count() AS records, max(failed_at) AS newest"
            " FROM dead_letters GROUP BY source_app, reason_code ORDER BY records DESC",
        ),
    ),
)

BOARDS = (OPERATIONS, MONEY)
