"""Rate limits over all API processes: counted in Valkey, in this process while it is away.

A process takes several requests' worth at once for a name that sends many, so that most requests
cost no round trip. What it took and did not use within the lease is lost to that name.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import ceil
from typing import NamedTuple

from ingest_api.commands.errors import StatusUnavailable
from ingest_api.limits.gcra import MICROSECONDS, Grant, Quota, take

_NAMES_MAX = 50_000
"""Names that are remembered; the one that was not asked for the longest time goes first."""
_LEASE_SECONDS = 0.5
_LEASE_SHARE_SECONDS = 0.05
"""At most so many seconds' worth of a rate are taken at once."""
Count = Callable[[str, Quota, int], Awaitable[Grant]]
"""Takes from a name's quota in Valkey. Raises StatusUnavailable."""


class Admission(NamedTuple):
    """Whether a request may pass, and what the answer says about the quota."""

    admitted: bool
    quota: Quota
    remaining: int
    reset_after_seconds: int
    retry_after_seconds: int
    pause_seconds: float = 0.0
    """Until something is free again, exactly; 0 if it was admitted."""


class _Lease:
    __slots__ = ("arrival", "blocked_until", "grant", "left", "size", "taking", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        self.size = 1
        self.blocked_until = 0.0
        self.arrival = 0
        self.grant = Grant(0, 0, 0, 0)
        self.taking: asyncio.Future[None] | None = None


class Limiter:
    """`admit` counts one request of a name against its quota. For one event loop."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._leases: dict[str, _Lease] = {}

    async def admit(self, name: str, quota: Quota) -> Admission:
        """Whether this request may pass; it then counts."""
        loop = asyncio.get_running_loop()
        lease = self._leases.pop(name, None) or _Lease()
        self._leases[name] = lease
        if len(self._leases) > _NAMES_MAX:
            del self._leases[next(iter(self._leases))]
        while True:
            now = loop.time()
            if now < lease.blocked_until:
                return _refused(quota, lease.grant, lease.blocked_until - now)
            if lease.left > 0 and now < lease.until:
                lease.left -= 1
                return _admitted(quota, lease.grant, lease.left)
            if lease.taking is None:
                lease.taking = asyncio.ensure_future(self._take(name, quota, lease))
            await asyncio.shield(lease.taking)

    async def _take(self, name: str, quota: Quota, lease: _Lease) -> None:
        """A new lease, twice as large as one that was used up, half as large as one that was not.

        Without Valkey this process grants the whole quota by itself.
        """
        loop = asyncio.get_running_loop()
        size_max = max(1, min(int(quota.per_second * _LEASE_SHARE_SECONDS), quota.burst // 4))
        used_up = lease.left == 0 and loop.time() < lease.until
        lease.size = min(size_max, lease.size * 2) if used_up else max(1, lease.size // 2)
        try:
            lease.grant = await self._count(name, quota, lease.size)
        except StatusUnavailable:
            now = round(loop.time() * MICROSECONDS)
            lease.arrival, lease.grant = take(lease.arrival, now, quota, lease.size)
        finally:
            lease.taking = None
        lease.left = lease.grant.granted
        lease.until = loop.time() + _LEASE_SECONDS
        if not lease.left:
            pause = lease.grant.retry_after_microseconds / MICROSECONDS
            lease.blocked_until = loop.time() + max(pause, 0.001)


def _admitted(quota: Quota, grant: Grant, left: int) -> Admission:
    reset = ceil(grant.reset_after_microseconds / MICROSECONDS)
    return Admission(True, quota, max(0, grant.remaining) + left, reset, 0)


def _refused(quota: Quota, grant: Grant, seconds: float) -> Admission:
    reset = ceil(grant.reset_after_microseconds / MICROSECONDS)
    return Admission(False, quota, 0, reset, max(1, ceil(seconds)), seconds)
