"""Every metric that any process exports: a line each; runtime.telemetry makes them."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """Name with its unit last, kind, meaning and labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


CATALOGUE: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "paystream_api_requests_total",
            "counter",
            "Requests answered by the API.",
            ("route", "method", "status"),
        ),
        Metric(
            "paystream_api_request_seconds",
            "histogram",
            "Time to answer a request.",
            ("route", "method"),
        ),
        Metric(
            "paystream_api_commands_total",
            "counter",
            "Commands acknowledged by the broker.",
            ("kind",),
        ),
        Metric("paystream_api_outstanding_records", "gauge", "Records not yet acknowledged."),
        Metric(
            "paystream_worker_records_total",
            "counter",
            "Records committed.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_worker_transactions_total",
            "counter",
            "Kafka transactions by outcome.",
            ("app", "worker_instance", "outcome"),
        ),
        Metric(
            "paystream_worker_ready",
            "gauge",
            "1 when partitions are restored.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_worker_restore_seconds",
            "gauge",
            "Duration of the last restore.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_worker_restored_records_total",
            "counter",
            "Changelog records read by restores.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_consumer_lag_records",
            "gauge",
            "Records that are not committed, per source partition that the worker owns.",
            ("app", "worker_instance", "topic", "partition"),
        ),
        Metric(
            "paystream_consumer_blocked_records",
            "gauge",
            "Offsets behind a transaction that somebody left open: they cannot be read yet.",
            ("app", "worker_instance", "topic", "partition"),
        ),
        Metric(
            "paystream_worker_retries_total",
            "counter",
            "Times that a worker waited: its store is away, or a newer release wrote a record.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_worker_dead_letters_total",
            "counter",
            "Records that became dead letters in a committed transaction.",
            ("app", "worker_instance"),
        ),
        Metric(
            "paystream_worker_replays_skipped_total",
            "counter",
            "Records of payments.replays that are for another worker.",
            ("app", "worker_instance"),
        ),
        Metric("paystream_payment_events_total", "counter", "Payment events decided.", ("type",)),
        Metric(
            "paystream_duplicate_commands_total", "counter", "Repeated commands that were absorbed."
        ),
        Metric(
            "paystream_rejections_total",
            "counter",
            "Clients' records that were not accepted as commands.",
            ("topic", "reason"),
        ),
        Metric(
            "paystream_network_calls_total",
            "counter",
            "Calls to the card network.",
            ("operation", "outcome"),
        ),
        Metric(
            "paystream_network_call_seconds",
            "histogram",
            "Time of a network call with its retries.",
            ("operation",),
        ),
        Metric(
            "paystream_network_circuit_breaker_state",
            "gauge",
            "0 closed, 1 half open, 2 open.",
            ("network",),
        ),
        Metric(
            "paystream_archive_operations_total",
            "counter",
            "Payments archived and restored; histories requested and rejected.",
            ("operation",),
        ),
        Metric(
            "paystream_history_requests_total",
            "counter",
            "Requests for the history of an archived payment: ok, lagging, unavailable.",
            ("result",),
        ),
        Metric("paystream_network_in_flight", "gauge", "Network calls in flight."),
        Metric("paystream_webhook_attempts_total", "counter", "Webhook attempts.", ("result",)),
        Metric("paystream_webhook_attempt_seconds", "histogram", "Time to a receiver's answer."),
        Metric("paystream_webhook_pending", "gauge", "Deliveries that are not done."),
        Metric(
            "paystream_webhook_merchant_unknown_total",
            "counter",
            "Events whose merchant's registration did not arrive in time: no webhook.",
        ),
        Metric("paystream_payouts_total", "counter", "Payout events.", ("type",)),
        Metric("paystream_payouts_due", "gauge", "Balances to close and payouts to send now."),
        Metric("paystream_bank_calls_total", "counter", "Calls to the bank.", ("outcome",)),
        Metric(
            "paystream_reconciliation_lines_total",
            "counter",
            "Lines of reports and statements written to Kafka.",
            ("source",),
        ),
        Metric(
            "paystream_reconciliation_read_failures_total",
            "counter",
            "Polls of the network or the bank that failed.",
            ("source",),
        ),
        Metric(
            "paystream_reconciliation_events_total",
            "counter",
            "Reconciliation events: postings, and breaks opened or moved.",
            ("type",),
        ),
        Metric("paystream_status_views_total", "counter", "Views of payments written to Valkey."),
        Metric(
            "paystream_status_batch_retries_total", "counter", "Batches that Valkey did not take."
        ),
        Metric("paystream_ledger_rows_total", "counter", "Rows inserted.", ("table",)),
        Metric("paystream_ledger_insert_seconds", "histogram", "Time of an insert.", ("table",)),
        Metric("paystream_console_refresh_seconds", "gauge", "Time to ask all parts once."),
        Metric(
            "paystream_skipped_records_total",
            "counter",
            "Records of a compacted topic that its reader could not take.",
            ("topic", "reason"),
        ),
        Metric(
            "paystream_thread_failures_total",
            "counter",
            "Exceptions that ended the work of a background thread; it started again.",
            ("thread",),
        ),
        Metric("paystream_dead_letters_total", "counter", "Dead letters written.", ("reason",)),
    )
}
