"""Faust made safe and fast: exactly-once batches on real Kafka. See README.md."""

from engine.app import EngineApp
from engine.batch import Batch
from engine.consumers.dead_letters import RawRecord
from engine.consumers.parallel_consumer import CallResult, ParallelConsumer
from engine.errors import Retry
from engine.producer_record import ProducerRecord
from engine.record import Record
from engine.settings import EngineSettings
from engine.state.table import TransactionalTable
from engine.transactions.transaction import PartitionView
from engine.worker import run_worker

__all__ = [
    "Batch",
    "CallResult",
    "EngineApp",
    "EngineSettings",
    "ParallelConsumer",
    "PartitionView",
    "ProducerRecord",
    "RawRecord",
    "Record",
    "Retry",
    "TransactionalTable",
    "run_worker",
]
