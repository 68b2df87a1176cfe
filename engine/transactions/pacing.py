"""How often a worker commits while records keep coming."""

from __future__ import annotations


class CommitPacing:
    """The pause before the next batch is taken. Pure: the caller gives the time.

    A transaction costs the brokers a marker in each partition that it touched, however small it is.
    So there is a shortest time between two commits. The first record after a quiet time does not
    wait, and neither does a backlog: a full batch is worth a transaction of its own.
    """

    def __init__(self, interval_seconds: float, batch_records_max: int) -> None:
        self._interval_seconds = interval_seconds
        self._batch_records_max = batch_records_max
        self._next_at = 0.0

    def committed(self, at: float, records: int) -> None:
        """A batch of so many records was committed at this time (monotonic seconds)."""
        full = records >= self._batch_records_max
        self._next_at = at if full else at + self._interval_seconds

    def pause_seconds(self, now: float) -> float:
        """How long to wait before the next batch is taken; 0 for at once."""
        return max(0.0, self._next_at - now)
