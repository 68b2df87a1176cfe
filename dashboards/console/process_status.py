"""What the console asks Kafka and our own processes: lags, readiness, a few gauges."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from runtime.consumer_lag import positions
from runtime.kafka_connection import KafkaConnection
from workers.catalogue import GROUPS

Rows = list[dict[str, Any]]
_PROBES_AT_ONCE = 8
_METRICS_PATH = "/metrics"
_BREAKER = ("closed", "half open", "open")  # by the metric's value; of several, the worst is shown


def lags(kafka: KafkaConnection) -> Rows:
    """Per consumer group and topic: offsets behind, and whether a transaction is open."""
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: {"lag": 0, "open": 0})
    for at in positions(kafka, GROUPS):
        row = found[at.group, at.topic]
        row["lag"] += at.lag
        row["open"] += at.end != at.stable_end
    return [{"group": g, "topic": t, **row} for (g, t), row in sorted(found.items())]


def processes(metrics_urls: list[str], http: httpx2.Client) -> Rows:
    """Health of each process whose metrics address is known, in the order of the addresses.

    `http` is kept by the caller: a client of its own per question costs a TLS context each time.
    """
    if not metrics_urls:
        raise LookupError(
            "PROMETHEUS_URLS is not set. Set it to the metrics URLs of the processes."
        )
    with ThreadPoolExecutor(_PROBES_AT_ONCE) as pool:
        return list(pool.map(lambda url: _process(url, http), metrics_urls))


def _process(url: str, http: httpx2.Client) -> dict[str, Any]:
    base = url.removesuffix(_METRICS_PATH)
    try:
        ready = http.get(base + "/readyz").status_code == 200
        text = http.get(base + _METRICS_PATH).text
    except httpx2.HTTPError as error:
        reason = f"does not answer: {type(error).__name__}"
        return {"url": base, "name": base, "state": "down", "reason": reason}
    return {"url": base, "state": "ready" if ready else "not ready", **_summary(text, base)}


def _summary(metrics: str, base: str) -> dict[str, Any]:
    """Name and gauges of a process, from its own metrics."""
    said: dict[str, Any] = {"name": base}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "paystream_worker_ready":
                said["name"] = f"{sample.labels['app']} {sample.labels['worker_instance']}"
            elif sample.name == "paystream_webhook_pending":
                said["webhooks_pending"] = int(sample.value)
            elif sample.name == "paystream_network_circuit_breaker_state":
                state = _BREAKER[int(sample.value)]
                said["breaker"] = max(said.get("breaker", state), state, key=_BREAKER.index)
            elif sample.name == "process_resident_memory_bytes":
                said["memory_megabytes"] = round(sample.value / 1e6)
            elif sample.name.startswith("paystream_api_request") and said["name"] == base:
                said["name"] = "ingest_api"
            elif sample.name == "paystream_console_refresh_seconds":
                said["name"] = "console"
    return said
