"""When a dead child is started again (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """Delays grow from `first_seconds` by `factor` up to `max_seconds`.

    The count starts again once a child has run for `healthy_seconds`. After `crashes_max` crashes
    in a row the child is given up.
    """

    first_seconds: float = 0.25
    factor: float = 2.0
    max_seconds: float = 10.0
    healthy_seconds: float = 30.0
    crashes_max: int = 30


@dataclass(frozen=True)
class CrashCount:
    """How often a child died in a row."""

    in_a_row: int = 0

    def after(self, policy: RestartPolicy, ran_seconds: float) -> CrashCount:
        """The count with one more death, after a life of `ran_seconds`."""
        return CrashCount(1 if ran_seconds >= policy.healthy_seconds else self.in_a_row + 1)

    def delay_seconds(self, policy: RestartPolicy) -> float | None:
        """How long to wait before the next start; None to give up."""
        if self.in_a_row > policy.crashes_max:
            return None
        growth = policy.factor ** min(self.in_a_row - 1, 32)
        return min(policy.first_seconds * growth, policy.max_seconds)
