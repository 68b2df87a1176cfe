"""The life of a payment as pure functions: `handle` a command, `decide` its events, `evolve`."""

from streams.domain.archive import ArchivedPayment
from streams.domain.archived_payments import Handled, Stored, handle
from streams.domain.decide import decide
from streams.domain.evolve import SequenceGap, evolve
from streams.domain.policy import Policy
from streams.domain.schedule import Due, deadline_command, next_due, next_due_at_ms
from streams.domain.state import PaymentState
from streams.domain.transition import Decision

__all__ = [
    "ArchivedPayment",
    "Decision",
    "Due",
    "Handled",
    "PaymentState",
    "Policy",
    "SequenceGap",
    "Stored",
    "deadline_command",
    "decide",
    "evolve",
    "handle",
    "next_due",
    "next_due_at_ms",
]
