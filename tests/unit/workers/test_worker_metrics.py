"""What a scrape of a worker says."""

from prometheus_client import CollectorRegistry, generate_latest

from engine import EngineStats, TopicPartition
from schemas.metrics import CATALOGUE
from workers.metrics import EngineMetricsCollector


class WorkerWithLag:
    """An app as the collector sees it."""

    def __init__(self) -> None:
        self.stats = EngineStats()
        self.ready = True

    def lag(self) -> dict[TopicPartition, int]:
        return {TopicPartition("payments.commands", 3): 12, TopicPartition("merchants", 0): 0}

    def blocked(self) -> dict[TopicPartition, int]:
        return {TopicPartition("payments.commands", 3): 4}


def test_a_scrape_tells_the_counters_of_this_moment() -> None:
    app = WorkerWithLag()
    stats = app.stats
    registry = CollectorRegistry()
    registry.register(EngineMetricsCollector("payments", "1", app))
    stats.records, stats.transactions, stats.aborts, stats.restore_seconds = 7, 3, 1, 0.5
    lines = generate_latest(registry).decode().splitlines()
    assert 'paystream_worker_records_total{app="payments",worker_instance="1"} 7.0' in lines
    assert 'paystream_worker_restore_seconds{app="payments",worker_instance="1"} 0.5' in lines
    assert 'paystream_worker_ready{app="payments",worker_instance="1"} 1.0' in lines
    lag = (
        'paystream_consumer_lag_records{app="payments",partition="%s",topic="%s",'
        'worker_instance="1"}'
    )
    assert lag % ("3", "payments.commands") + " 12.0" in lines
    assert lag % ("0", "merchants") + " 0.0" in lines
    blocked = 'paystream_consumer_blocked_records{app="payments",partition="3",topic='
    assert blocked + '"payments.commands",worker_instance="1"} 4.0' in lines
    transactions = (
        'paystream_worker_transactions_total{app="payments",outcome="%s",worker_instance="1"} %s'
    )
    assert transactions % ("committed", "3.0") in lines
    assert transactions % ("aborted", "1.0") in lines
    names = {line.split("{")[0] for line in lines if line.startswith("paystream")}
    assert names <= set(CATALOGUE)
