"""Everything the engine raises, by who has to act on it."""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors of the engine."""


class Retry(EngineError):
    """Raised by an agent or a call: deliver the same batch or record again after `seconds`.

    No offset moves, nothing is dead-lettered; the worker keeps its partitions meanwhile. For sinks
    whose store is down.
    """

    def __init__(self, seconds: float = 1.0, reason: str = "") -> None:
        super().__init__(reason or f"retry in {seconds} s")
        self.seconds = seconds


class BatchFailed(EngineError):
    """An agent raised while it handled a batch; the original exception is the cause."""


class AgentEnded(EngineError):
    """An agent's coroutine returned although its stream has no end."""


class AgentUsageError(EngineError):
    """An agent uses what its kind of batch does not have: fix the agent, no record is at fault."""


class UnreadableState(EngineError):
    """A table holds a value that this program cannot read, such as one of a newer release.

    A table's `decode` raises it. It ends the worker: no record is at fault, and going on would
    lose what the value has.
    """


class RecordTooLarge(EngineError):
    """An output or a table value is larger than `EngineSettings.record_bytes_max`."""


class ClosedBatch(EngineError):
    """A batch was used after its transaction had ended."""


class TransactionAborted(EngineError):
    """Nothing of the poll became visible, or the outcome is unknown: state must come from the log.

    `fenced`: another worker owns the partitions or the instance id; a rebalance is expected.
    """

    def __init__(self, reason: str, *, fenced: bool) -> None:
        super().__init__(reason)
        self.fenced = fenced


class CallTimedOut(EngineError):
    """A client call ignored its timeout; its thread was abandoned."""


class LogTruncated(EngineError):
    """Committed offsets and changelog contradict each other: data was lost, or a deposed leader
    replied.
    """


class NonRetriableBrokerError(EngineError):
    """The broker rejects permanently (missing right, record too large, unknown topic): an operator
    must act.
    """


class MissingTopics(EngineError):
    """Topics do not exist, or have a number of partitions that does not fit."""


class DeadLetterLimitExceeded(EngineError):
    """Too many records could not be processed: the worker stops instead of dead-lettering
    everything.
    """


class InstanceIdInUse(EngineError):
    """Another live worker runs with the same instance id."""


class LibraryInternalsChanged(EngineError):
    """A library's internal that the engine builds on differs from the pinned version."""
