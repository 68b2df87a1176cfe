"""What traffic counts while it runs, and the result it leaves."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass
class Tally:
    """Counts of one run.

    `latencies_ms`: create requests, retries included. `decisions_ms`: those that waited for the
    network's answer.
    """

    payments: int
    sent: int = 0
    finished: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    scenarios: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    decisions_ms: list[float] = field(default_factory=list)

    PROBLEMS_MAX = 50

    def took(self, milliseconds: float, *, waited: bool) -> None:
        """Note how long a create request took."""
        (self.decisions_ms if waited else self.latencies_ms).append(milliseconds)

    def problem(self, sentence: str) -> None:
        """Note what should not have happened; the first `PROBLEMS_MAX` keep their sentence."""
        self.counts["problems"] += 1
        if len(self.problems) < self.PROBLEMS_MAX:
            self.problems.append(sentence)


@dataclass(frozen=True, kw_only=True)
class TrafficResult:
    """What was sent and how it was answered.

    `accepted` counts commands once, however often they were sent; `retries_absorbed` are retries of
    requests that had been accepted. `problems` are answers that break a promise of the API;
    `refused_by_code` are refusals by their problem code.
    """

    payments: int
    seconds: float
    accepted: int
    repeats_absorbed: int
    repeats_sent: int
    retries: int
    retries_absorbed: int
    other_bodies_refused: int
    steps: int
    steps_refused: int
    steps_not_reached: int
    gave_up: int
    latency_p50_ms: float
    latency_p99_ms: float
    decision_p50_ms: float
    decision_p99_ms: float
    scenarios: dict[str, int]
    refused_by_code: dict[str, int]
    problem_count: int
    problems: list[str]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile, 0 for no values; `share` is 0 to 1."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def result_of(stats: Tally, seconds: float) -> TrafficResult:
    """The result of a finished run."""
    counts = stats.counts
    return TrafficResult(
        payments=stats.payments,
        seconds=round(seconds, 3),
        accepted=counts["accepted"],
        repeats_absorbed=counts["repeats_absorbed"],
        repeats_sent=counts["repeats_sent"],
        retries=counts["retries"],
        retries_absorbed=counts["retries_absorbed"],
        other_bodies_refused=counts["other_bodies_refused"],
        steps=counts["steps"],
        steps_refused=counts["steps_refused"],
        steps_not_reached=counts["steps_not_reached"],
        gave_up=counts["gave_up"],
        latency_p50_ms=round(percentile(stats.latencies_ms, 0.5), 1),
        latency_p99_ms=round(percentile(stats.latencies_ms, 0.99), 1),
        decision_p50_ms=round(percentile(stats.decisions_ms, 0.5), 1),
        decision_p99_ms=round(percentile(stats.decisions_ms, 0.99), 1),
        scenarios=dict(sorted(stats.scenarios.items())),
        refused_by_code=dict(sorted(stats.refusals.items())),
        problem_count=counts["problems"],
        problems=stats.problems,
    )
