"""Exponential backoff (pure)."""

_DOUBLINGS_MAX = 32


def backoff_seconds(attempt: int, first_seconds: float, seconds_max: float) -> float:
    """Pause after attempt 1, 2, 3…: the first one, then doubled each time, up to the longest."""
    return min(first_seconds * 2.0 ** min(attempt - 1, _DOUBLINGS_MAX), seconds_max)


class Backoff:
    """Counts failures in a row: pauses double until `reset`."""

    def __init__(self, first_seconds: float, seconds_max: float) -> None:
        self._first_seconds = first_seconds
        self._seconds_max = seconds_max
        self._failures = 0

    def next_seconds(self) -> float:
        """The pause after one more failure."""
        self._failures += 1
        return backoff_seconds(self._failures, self._first_seconds, self._seconds_max)

    def reset(self) -> None:
        """A call succeeded."""
        self._failures = 0
