"""Latency and faults of a simulated service: drawn from the seed, the key and the request number.

The same seed gives the same request the same latency and fault, independent of other requests.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

NORMAL_P99 = 2.3263478740408408
REFUSED_BELOW = 0.4
FAILED_BELOW = 0.7


class Fault(StrEnum):
    """How a request goes wrong; all but the first kind had their effect."""

    REFUSED = "refused"
    FAILED_AFTER_EFFECT = "failed_after_effect"
    LOST_ANSWER = "lost_answer"


@dataclass(frozen=True, kw_only=True)
class FaultProfile:
    """Distribution of latency and ratios (0 to 1) of faults."""

    seed: int
    latency_p50_ms: float
    latency_p99_ms: float
    fault_ratio: float
    lost_answer_ratio: float

    def sigma(self) -> float:
        """Standard deviation of the log of the latency."""
        if self.latency_p50_ms <= 0 or self.latency_p99_ms <= self.latency_p50_ms:
            return 0.0
        return math.log(self.latency_p99_ms / self.latency_p50_ms) / NORMAL_P99


@dataclass(frozen=True)
class RequestFaults:
    """Latency and fault of one request."""

    latency_seconds: float
    fault: Fault | None


def sample_faults(fault_profile: FaultProfile, key: str, request_number: int) -> RequestFaults:
    """Latency and fault of the given request (1, 2, 3…) for a key."""
    source = random.Random(f"{fault_profile.seed}:{key}:{request_number}")  # noqa: S311 - a simulation
    latency_ms = fault_profile.latency_p50_ms * math.exp(
        fault_profile.sigma() * source.gauss(0.0, 1.0)
    )
    return RequestFaults(latency_ms / 1000, _fault(fault_profile, source))


def _fault(fault_profile: FaultProfile, source: random.Random) -> Fault | None:
    if source.random() < fault_profile.lost_answer_ratio:
        return Fault.LOST_ANSWER
    if source.random() >= fault_profile.fault_ratio:
        return None
    kind = source.random()
    if kind < REFUSED_BELOW:
        return Fault.REFUSED
    return Fault.FAILED_AFTER_EFFECT if kind < FAILED_BELOW else Fault.LOST_ANSWER
