"""Topics whose records reach an agent in batches, inside transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.agent import BatchChannel

DecodeRecord = Callable[[bytes], Any]


class BatchTopic:
    """Subscribed through Faust's group, read by the engine. Offsets move only with its
    transactions.

    `faust_topic` is what Faust knows of it; its own acknowledgements are off. `merge_partitions`:
    its agent gets one batch per poll over all partitions.
    """

    def __init__(self, app: Any, name: str, decode: DecodeRecord) -> None:
        self.name = name
        self.decode = decode
        self.feed = BatchChannel(name)
        self.has_agent = False
        self.merge_partitions = False
        self.faust_topic = app.topic(name, acks=False, key_serializer="raw", value_serializer="raw")
