"""What a scrape of a worker says."""

from prometheus_client import CollectorRegistry, generate_latest

from engine.stats import EngineStats
from schemas.metrics import CATALOGUE
from workers.metrics import EngineMetricsCollector


def test_a_scrape_tells_the_counters_of_this_moment() -> None:
    stats = EngineStats()
    registry = CollectorRegistry()
    registry.register(EngineMetricsCollector("payments", "1", stats, lambda: True))
    stats.records, stats.transactions, stats.aborts, stats.restore_seconds = 7, 3, 1, 0.5
    lines = generate_latest(registry).decode().splitlines()
    assert 'paystream_worker_records_total{app="payments",worker_instance="1"} 7.0' in lines
    assert 'paystream_worker_restore_seconds{app="payments",worker_instance="1"} 0.5' in lines
    assert 'paystream_worker_ready{app="payments",worker_instance="1"} 1.0' in lines
    transactions = (
        'paystream_worker_transactions_total{app="payments",outcome="%s",worker_instance="1"} %s'
    )
    assert transactions % ("committed", "3.0") in lines
    assert transactions % ("aborted", "1.0") in lines
    names = {line.split("{")[0] for line in lines if line.startswith("paystream")}
    assert names <= set(CATALOGUE)
