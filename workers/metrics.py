"""A worker's counters as Prometheus metrics, read at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine import EngineStats, TopicPartition
from schemas.metrics import CATALOGUE

_TOTAL = "_total"


class Measured(Protocol):
    """What the collector reads of an `EngineApp`."""

    @property
    def stats(self) -> EngineStats:
        """Counters since the start."""

    @property
    def ready(self) -> bool:
        """Partitions are restored and processed."""

    def lag(self) -> dict[TopicPartition, int]:
        """Records that are not committed, per source partition."""

    def blocked(self) -> dict[TopicPartition, int]:
        """Offsets behind an open transaction, per source partition."""


class EngineMetricsCollector:
    """Prometheus collector of one worker: give it to `prometheus_client.REGISTRY.register`."""

    def __init__(self, name: str, instance_id: str, app: Measured) -> None:
        self._labels = [name, instance_id]
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """The metric families now; their names are in schemas.metrics."""
        stats = self._app.stats
        lag: dict[tuple[str, ...], float] = {
            (tp.topic, str(tp.partition)): n for tp, n in self._app.lag().items()
        }
        yield self._gauge("paystream_worker_ready", {(): float(self._app.ready)})
        yield self._gauge("paystream_worker_restore_seconds", {(): stats.restore_seconds})
        yield self._gauge("paystream_consumer_lag_records", lag)
        blocked: dict[tuple[str, ...], float] = {
            (tp.topic, str(tp.partition)): n for tp, n in self._app.blocked().items()
        }
        yield self._gauge("paystream_consumer_blocked_records", blocked)
        yield self._counter("paystream_worker_retries_total", {(): stats.retries})
        yield self._counter("paystream_worker_dead_letters_total", {(): stats.dead_letters})
        yield self._counter("paystream_worker_replays_skipped_total", {(): stats.replays_skipped})
        yield self._counter("paystream_worker_restored_records_total", {(): stats.restored_records})
        yield self._counter("paystream_worker_records_total", {(): stats.records})
        outcomes = {"committed": stats.transactions, "aborted": stats.aborts}
        by_outcome: dict[tuple[str, ...], int] = {
            (name,): count for name, count in outcomes.items()
        }
        yield self._counter("paystream_worker_transactions_total", by_outcome)

    def _gauge(self, name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
        metric = CATALOGUE[name]
        family = GaugeMetricFamily(name, metric.meaning, labels=list(metric.labels))
        for more, value in values.items():
            family.add_metric([*self._labels, *more], value)
        return family

    def _counter(self, name: str, values: Mapping[tuple[str, ...], int]) -> Metric:
        metric = CATALOGUE[name]
        family = CounterMetricFamily(
            name.removesuffix(_TOTAL), metric.meaning, labels=list(metric.labels)
        )
        for more, value in values.items():
            family.add_metric([*self._labels, *more], value)
        return family
