"""The generic cell rate algorithm (GCRA): a rate in the long run, a burst at once (pure).

One number is kept of each name: the theoretical arrival time, at which everything that was taken
would be paid back. Source: ITU-T I.371, annex A; the script for Valkey computes the same.
"""

from math import ceil
from typing import NamedTuple

MICROSECONDS = 1_000_000
SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
if tat < now then tat = now end
local free = math.floor((now + burst * interval - tat) / interval)
local granted = math.max(0, math.min(wanted, free))
if granted > 0 then
  tat = tat + granted * interval
  redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
end
local retry = 0
if granted == 0 then retry = tat + interval - now - burst * interval end
return {granted, free - granted, math.ceil(retry), math.ceil(tat - now)}
"""
"""KEYS: name. ARGV: interval of one request in microseconds, burst, wanted. Returns a Grant."""


class Quota(NamedTuple):
    """How much may be taken: per second in the long run, and at once."""

    per_second: float
    burst: int

    @property
    def interval_microseconds(self) -> int:
        """Time that pays back one."""
        return max(1, round(MICROSECONDS / self.per_second))

    @property
    def window_seconds(self) -> int:
        """Time that pays back the whole burst."""
        return max(1, ceil(self.burst / self.per_second))


class Grant(NamedTuple):
    """What was granted of what was wanted, and what is left; times in microseconds."""

    granted: int
    remaining: int
    retry_after_microseconds: int
    """0 if any was granted."""
    reset_after_microseconds: int
    """Until nothing would be owed."""


def take(
    arrival_microseconds: int, now_microseconds: int, quota: Quota, wanted: int
) -> tuple[int, Grant]:
    """The theoretical arrival time afterwards, and the grant; never more than is free."""
    interval, burst = quota.interval_microseconds, quota.burst
    arrival = max(arrival_microseconds, now_microseconds)
    free = (now_microseconds + burst * interval - arrival) // interval
    granted = max(0, min(wanted, free))
    arrival += granted * interval
    retry = 0 if granted else arrival + interval - now_microseconds - burst * interval
    return arrival, Grant(granted, free - granted, retry, arrival - now_microseconds)
