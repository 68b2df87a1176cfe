"""A token bucket for each merchant and mode, in this process (pure; the caller gives the time)."""

_BUCKETS_MAX = 50_000


class RateLimiter:
    """`allow` is True at `per_second` in the long run and for `burst` requests at once.

    `per_second` 0 switches it off. At most 50 000 buckets are kept; the oldest goes first.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}

    def allow(self, name: str, now_seconds: float) -> bool:
        """Whether this request may pass; it then counts. `now_seconds` must not go back."""
        if self._per_second <= 0:
            return True
        tokens, since = self._buckets.pop(name, (self._burst, now_seconds))
        tokens = min(self._burst, tokens + (now_seconds - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, now_seconds)
        if len(self._buckets) > _BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return allowed
