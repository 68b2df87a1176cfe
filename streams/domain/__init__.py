"""The life of a payment as pure functions: `decide` what happens, `evolve` what is then true."""

from streams.domain.decide import decide
from streams.domain.evolve import SequenceGap, evolve
from streams.domain.policy import Policy
from streams.domain.schedule import Due, deadline_command, next_due, next_due_at_ms
from streams.domain.state import PaymentState
from streams.domain.transition import Decision

__all__ = [
    "Decision",
    "Due",
    "PaymentState",
    "Policy",
    "SequenceGap",
    "deadline_command",
    "decide",
    "evolve",
    "next_due",
    "next_due_at_ms",
]
