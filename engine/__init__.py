"""Faust made safe and fast: exactly-once batches on real Kafka. See README.md."""

from engine.app import EngineApp
from engine.batch import Batch
from engine.errors import Retry
from engine.lane import CallResult, ExternalLane
from engine.outgoing import Outgoing
from engine.poison import RawRecord
from engine.record import Record
from engine.settings import EngineSettings
from engine.table import TransactionalTable
from engine.transaction import PartitionView
from engine.worker import run_worker

__all__ = [
    "Batch",
    "CallResult",
    "EngineApp",
    "EngineSettings",
    "ExternalLane",
    "Outgoing",
    "PartitionView",
    "RawRecord",
    "Record",
    "Retry",
    "TransactionalTable",
    "run_worker",
]
