"""When a dead child is started again."""

from __future__ import annotations

import pytest

from devstack.supervisor.restart import CrashCount, RestartPolicy

POLICY = RestartPolicy(first_seconds=1, factor=2, max_seconds=10, healthy_seconds=30, crashes_max=6)


def test_delays_double_up_to_the_limit() -> None:
    deaths, delays = CrashCount(), []
    for _ in range(6):
        deaths = deaths.after(POLICY, ran_seconds=0.1)
        delays.append(deaths.delay_seconds(POLICY))
    assert delays == [1, 2, 4, 8, 10, 10]


def test_it_gives_up_after_too_many_deaths_in_a_row() -> None:
    assert CrashCount(6).after(POLICY, ran_seconds=1).delay_seconds(POLICY) is None


def test_a_healthy_life_starts_the_count_anew() -> None:
    assert CrashCount(6).after(POLICY, ran_seconds=30).delay_seconds(POLICY) == 1


@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_the_default_delay_is_never_above_ten_seconds(count: int) -> None:
    delay = CrashCount(count).delay_seconds(RestartPolicy(crashes_max=1_000))
    assert delay is not None
    assert 0 < delay <= 10
