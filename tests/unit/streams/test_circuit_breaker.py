"""The circuit breaker: closed, open, one trial, closed again."""

from __future__ import annotations

from streams.agents.circuit_breaker import BreakerState, CircuitBreaker


def opened(at: float = 100.0) -> CircuitBreaker:
    breaker = CircuitBreaker(window_calls=4, failure_ratio=0.5, open_seconds=5)
    for _ in range(4):
        breaker.failed(at)
    return breaker


def test_a_few_failures_do_not_open_it() -> None:
    breaker = CircuitBreaker(window_calls=4, failure_ratio=0.5, open_seconds=5)
    for _ in range(10):
        for _ in range(3):
            breaker.succeeded()
        breaker.failed(1.0)
    assert breaker.state(1.0) is BreakerState.CLOSED
    assert breaker.wait_seconds(1.0) == 0


def test_it_opens_only_when_the_window_is_full() -> None:
    breaker = CircuitBreaker(window_calls=4, failure_ratio=0.5, open_seconds=5)
    for _ in range(3):
        breaker.failed(1.0)
    assert breaker.state(1.0) is BreakerState.CLOSED
    breaker.failed(1.0)
    assert breaker.state(1.0) is BreakerState.OPEN


def test_while_open_it_says_how_long_to_wait() -> None:
    breaker = opened(100.0)
    assert breaker.wait_seconds(101.0) == 4.0
    assert breaker.state(104.9) is BreakerState.OPEN
    assert breaker.state(105.0) is BreakerState.HALF_OPEN


def test_half_open_lets_one_through() -> None:
    breaker = opened(100.0)
    assert breaker.wait_seconds(105.0) == 0
    assert breaker.wait_seconds(105.0) > 0
    breaker.succeeded()
    assert breaker.state(105.1) is BreakerState.CLOSED
    assert [breaker.wait_seconds(105.1) for _ in range(3)] == [0, 0, 0]


def test_a_failed_trial_opens_it_anew() -> None:
    breaker = opened(100.0)
    assert breaker.wait_seconds(105.0) == 0
    breaker.failed(108.0)
    assert breaker.state(112.9) is BreakerState.OPEN
    assert breaker.wait_seconds(113.0) == 0


def test_a_trial_that_never_reports_is_given_up() -> None:
    breaker = opened(100.0)
    assert breaker.wait_seconds(105.0) == 0
    assert breaker.wait_seconds(109.0) == 1.0
    assert breaker.wait_seconds(110.0) == 0


def test_one_failure_after_closing_does_not_open_it_again() -> None:
    breaker = opened(100.0)
    breaker.wait_seconds(105.0)
    breaker.succeeded()
    breaker.failed(105.5)
    assert breaker.state(105.5) is BreakerState.CLOSED
