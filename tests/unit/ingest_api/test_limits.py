"""Rate limits: a burst passes and then the rate, over leases, with and without Valkey."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.commands.errors import StatusUnavailable
from ingest_api.http.early_refusals import EarlyRefusals, rate_limit_headers
from ingest_api.limits.gcra import MICROSECONDS, Grant, Quota, take
from ingest_api.limits.limiter import Admission, Limiter
from ingest_api.limits.request_limits import RequestLimits, client_address
from ingest_api.settings import ApiSettings


async def no_valkey(name: str, quota: Quota, wanted: int) -> Grant:
    raise StatusUnavailable("away")


class Counter:
    """What the script in Valkey does, on the loop's clock."""

    def __init__(self) -> None:
        self.arrivals: dict[str, int] = {}
        self.calls = 0

    async def count(self, name: str, quota: Quota, wanted: int) -> Grant:
        self.calls += 1
        await asyncio.sleep(0)
        now = round(asyncio.get_running_loop().time() * MICROSECONDS)
        self.arrivals[name], grant = take(self.arrivals.get(name, 0), now, quota, wanted)
        return grant


def test_a_burst_then_the_rate() -> None:
    quota = Quota(2, 5)
    arrival, grant = take(0, 0, quota, 7)
    assert grant == Grant(5, 0, 0, 2_500_000)
    arrival, grant = take(arrival, 400_000, quota, 1)
    assert (grant.granted, grant.retry_after_microseconds) == (0, 100_000)
    arrival, grant = take(arrival, 500_000, quota, 1)
    assert grant.granted == 1


@given(
    st.floats(0.5, 5000),
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(1, 50)), min_size=1, max_size=100),
)
def test_never_more_than_burst_and_rate(
    rate: float, burst: int, requests: list[tuple[int, int]]
) -> None:
    quota = Quota(rate, burst)
    now = arrival = granted = 0
    for pause, wanted in requests:
        now += pause
        arrival, grant = take(arrival, now, quota, wanted)
        granted += grant.granted
        assert 0 <= grant.granted <= wanted
        assert 0 <= grant.remaining < burst or not grant.granted
        assert granted <= burst + now / quota.interval_microseconds + 1


@pytest.mark.parametrize("valkey", [True, False])
async def test_no_more_than_the_burst_is_admitted_at_once(valkey: bool) -> None:
    limiter = Limiter(Counter().count if valkey else no_valkey)
    quota = Quota(0.01, 40)
    admissions = await asyncio.gather(*(limiter.admit("m", quota) for _ in range(100)))
    assert sum(each.admitted for each in admissions) == 40
    refused = [each for each in admissions if not each.admitted]
    assert {each.remaining for each in refused} == {0}
    assert all(90 <= each.retry_after_seconds <= 100 for each in refused)


async def test_a_busy_name_costs_few_round_trips_and_two_processes_share_a_quota() -> None:
    counter, quota = Counter(), Quota(1000, 1000)
    processes = [Limiter(counter.count) for _ in range(2)]
    admitted = 0
    for number in range(1400):
        admitted += (await processes[number % 2].admit("m", quota)).admitted
    assert 1000 <= admitted <= 1100
    assert counter.calls < 200


async def test_names_do_not_share_a_quota() -> None:
    limiter = Limiter(no_valkey)
    quota = Quota(1, 1)
    assert (await limiter.admit("a", quota)).admitted
    assert (await limiter.admit("b", quota)).admitted
    assert not (await limiter.admit("a", quota)).admitted


async def test_registrations_are_limited_by_address_and_in_sum() -> None:
    settings = ApiSettings(
        registration_burst=2, registrations_per_minute=0.01, address_registrations_per_minute=0.01
    )
    limits = RequestLimits(Limiter(no_valkey), settings)

    async def admitted(address: str) -> bool:
        return (await limits.admit_registration(address)).admitted

    assert [await admitted("192.0.2.1") for _ in range(3)] == [True, True, False]
    addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
    assert [await admitted(address) for address in addresses] == [True, True, False]
    others = [f"198.51.100.{number}" for number in range(4)]
    assert [await admitted(address) for address in others] == [True, True, False, False]


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("", 0, "192.0.2.9"),
        ("203.0.113.7", 0, "192.0.2.9"),
        ("203.0.113.7", 1, "203.0.113.7"),
        ("forged, 203.0.113.7", 1, "203.0.113.7"),
        ("forged, 203.0.113.7, 10.0.0.1", 2, "203.0.113.7"),
        ("", 1, "192.0.2.9"),
    ],
)
def test_the_address_is_the_one_that_our_proxy_saw(
    forwarded: str, proxies: int, expected: str
) -> None:
    assert client_address("192.0.2.9", forwarded, proxies) == expected


def test_a_refused_caller_is_refused_until_something_is_free() -> None:
    refusals = EarlyRefusals()
    refused = Admission(False, Quota(10, 20), 0, 2, 1, 60.0)
    headers = [(b"host", b"x"), (b"authorization", b"Bearer a")]
    assert refusals.find(headers) is None
    refusals.remember(b"Bearer a", refused)
    found = refusals.find(headers)
    assert found is not None
    assert (b"retry-after", b"1") in found.headers
    assert b'"rate_limited"' in found.body
    assert refusals.find([(b"authorization", b"Bearer b")]) is None
    assert refusals.find([]) is None
    refusals.remember(b"Bearer a", refused._replace(pause_seconds=-1.0))
    assert refusals.find(headers) is None


def test_the_fields_say_the_quota_and_what_is_left() -> None:
    admission = Admission(True, Quota(100, 500), 320, 2, 0)
    assert rate_limit_headers(admission) == [
        (b"ratelimit-policy", b'"default";q=500;w=5'),
        (b"ratelimit", b'"default";r=320;t=2'),
    ]
