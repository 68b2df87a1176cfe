"""Topics whose records reach an agent in batches, inside transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.agent import AgentFunction, BatchChannel
from engine.consumers.replays import DecodeReplay

DecodeRecord = Callable[[bytes], Any]


class BatchTopic:
    """Joined through Faust's group, read by the engine; offsets move only with its transactions.

    `faust_topic` is what Faust knows of it, with acknowledgements off. `decode_errors`: exceptions
    that mean an undecodable record, also when an agent raises one because it decodes by itself.
    `wait_errors`: exceptions that mean a record of a newer release; the worker waits before it.
    `decode_replay`: only of the topic of replays; its records go to the agents of other topics.
    `function`: its agent's; None until there is one. `merge_partitions`: its agent gets one batch
    per poll over all partitions.
    """

    def __init__(
        self,
        app: Any,
        name: str,
        decode: DecodeRecord,
        decode_errors: tuple[type[Exception], ...] = (),
        wait_errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = name
        self.decode = decode
        self.decode_errors = decode_errors
        self.wait_errors = wait_errors
        self.decode_replay: DecodeReplay | None = None
        self.channel = BatchChannel(name)
        self.function: AgentFunction | None = None
        self.merge_partitions = False
        self.faust_topic = app.topic(name, acks=False, key_serializer="raw", value_serializer="raw")
