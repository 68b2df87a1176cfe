"""A circuit breaker: a pure function of the calls' results and of the time passed in."""

from collections import deque
from enum import IntEnum


class BreakerState(IntEnum):
    """Numbers as the metric `paystream_network_circuit_breaker_state` shows them."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """Closed while calls mostly succeed; open for a while when too many of the last ones failed.

    After that while one trial call at a time is allowed: its success closes the breaker, its
    failure opens it again. `now` is in seconds of any clock that does not jump.
    """

    def __init__(self, window_calls: int, failure_ratio: float, open_seconds: float) -> None:
        self._outcomes: deque[bool] = deque(maxlen=window_calls)
        self._window_calls = window_calls
        self._failure_ratio = failure_ratio
        self._open_seconds = open_seconds
        self._opened_at: float | None = None
        self._trial_ends_at: float | None = None

    def state(self, now: float) -> BreakerState:
        """The state of the breaker at a time."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if now < self._opened_at + self._open_seconds:
            return BreakerState.OPEN
        return BreakerState.HALF_OPEN

    def wait_seconds(self, now: float) -> float:
        """0 if a call may be made now (in half-open: it is the trial), else how long to wait."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                assert self._opened_at is not None
                return self._opened_at + self._open_seconds - now
        if self._trial_ends_at is not None and now < self._trial_ends_at:
            return min(self._open_seconds, self._trial_ends_at - now)
        self._trial_ends_at = now + self._open_seconds
        return 0.0

    def succeeded(self) -> None:
        """The network responded; the content of the response does not matter."""
        if self._opened_at is not None:
            self._outcomes.clear()
        self._opened_at = self._trial_ends_at = None
        self._outcomes.append(True)

    def failed(self, now: float) -> None:
        """A call had no response, or one that asked to retry later."""
        if self._opened_at is not None:
            self._opened_at, self._trial_ends_at = now, None
            return
        self._outcomes.append(False)
        failures = self._outcomes.count(False)
        full = len(self._outcomes) == self._window_calls
        if full and failures >= self._failure_ratio * self._window_calls:
            self._opened_at = now
            self._outcomes.clear()
