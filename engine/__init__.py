"""Faust with exactly-once batches on Kafka transactions. See README.md.

To read the code, start with `app.py`, then `engine.py` and `membership/assignment.py`: the life of
a worker. A test of agents without a broker: `engine.testing`.
"""

from engine.agent import BatchStream
from engine.app import EngineApp, Replays
from engine.batch import Batch
from engine.consumers.dead_letters import DeadLetterReason, EncodeDeadLetter, RawRecord
from engine.consumers.parallel_consumer import CallResult, ParallelConsumer
from engine.consumers.replays import Replay
from engine.errors import EngineError, Retry, UnreadableState
from engine.producer_record import ProducerRecord
from engine.record import Record
from engine.settings import EngineSettings
from engine.state.table import TransactionalTable
from engine.stats import EngineStats
from engine.table_view import TableView
from engine.topic import BatchTopic
from engine.transactions.partition_view import PartitionView
from engine.types import TopicPartition
from engine.worker import run_worker

__all__ = [
    "Batch",
    "BatchStream",
    "BatchTopic",
    "CallResult",
    "DeadLetterReason",
    "EncodeDeadLetter",
    "EngineApp",
    "EngineError",
    "EngineSettings",
    "EngineStats",
    "ParallelConsumer",
    "PartitionView",
    "ProducerRecord",
    "RawRecord",
    "Record",
    "Replay",
    "Replays",
    "Retry",
    "TableView",
    "TopicPartition",
    "TransactionalTable",
    "UnreadableState",
    "run_worker",
]
