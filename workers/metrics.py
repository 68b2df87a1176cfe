"""A worker's counters as Prometheus metrics, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine import EngineStats
from schemas.metrics import CATALOGUE

_LABELS = ["app", "worker_instance"]
_TOTAL = "_total"


class EngineMetricsCollector:
    """Prometheus collector of one worker: give it to `prometheus_client.REGISTRY.register`."""

    def __init__(
        self, app: str, instance_id: str, stats: EngineStats, is_ready: Callable[[], bool]
    ) -> None:
        self._labels = [app, instance_id]
        self._stats = stats
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        """The families of this moment; the names stand in schemas.metrics."""
        stats = self._stats
        yield self._gauge("paystream_worker_ready", float(self._is_ready()))
        yield self._gauge("paystream_worker_restore_seconds", stats.restore_seconds)
        yield self._counter("paystream_worker_records_total", {(): stats.records})
        outcomes = {"committed": stats.transactions, "aborted": stats.aborts}
        by_outcome: dict[tuple[str, ...], int] = {
            (name,): count for name, count in outcomes.items()
        }
        yield self._counter("paystream_worker_transactions_total", by_outcome)

    def _gauge(self, name: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, CATALOGUE[name].meaning, labels=_LABELS)
        family.add_metric(self._labels, value)
        return family

    def _counter(self, name: str, values: Mapping[tuple[str, ...], int]) -> Metric:
        metric = CATALOGUE[name]
        family = CounterMetricFamily(
            name.removesuffix(_TOTAL), metric.meaning, labels=list(metric.labels)
        )
        for more, value in values.items():
            family.add_metric([*self._labels, *more], value)
        return family
