"""The token bucket lets a burst pass and then the rate."""

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.http.rate_limit import RateLimiter


def test_zero_means_no_limit() -> None:
    limiter = RateLimiter(0, 1)
    assert all(limiter.allow("m", 0.0) for _ in range(1000))


def test_a_burst_then_the_rate() -> None:
    limiter = RateLimiter(2, 5)
    assert [limiter.allow("m", 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not limiter.allow("m", 0.4)
    assert limiter.allow("m", 0.5)
    assert not limiter.allow("m", 0.6)


def test_merchants_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(1, 1)
    assert limiter.allow("a", 0.0)
    assert limiter.allow("b", 0.0)
    assert not limiter.allow("a", 0.0)


@given(
    st.floats(0.5, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    limiter = RateLimiter(rate, burst)
    now = 0.0
    allowed = 0
    for pause in pauses:
        now += pause
        allowed += limiter.allow("m", now)
    assert allowed <= burst + rate * now + 1e-6
