"""Metrics by their name in schemas.metrics; a name that is not in the catalogue does not exist."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from schemas.metrics import CATALOGUE

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@cache
def counter(name: str) -> Counter:
    """The counter of that name. Raises KeyError for a name that is not in the catalogue."""
    metric = CATALOGUE[name]
    assert metric.kind == "counter", name
    return Counter(metric.name, metric.meaning, metric.labels)


@cache
def gauge(name: str) -> Gauge:
    """The gauge of that name. Raises KeyError for a name that is not in the catalogue."""
    metric = CATALOGUE[name]
    assert metric.kind == "gauge", name
    return Gauge(metric.name, metric.meaning, metric.labels)


@cache
def histogram(name: str) -> Histogram:
    """The histogram of that name, in seconds. Raises KeyError for an unknown name."""
    metric = CATALOGUE[name]
    assert metric.kind == "histogram", name
    return Histogram(metric.name, metric.meaning, metric.labels, buckets=_SECONDS)
