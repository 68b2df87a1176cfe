"""Which quota a request counts against: its merchant's and mode's, or that of registrations."""

import ipaddress

from ingest_api.limits.gcra import Quota
from ingest_api.limits.limiter import Admission, Limiter
from ingest_api.settings import ApiSettings
from schemas.records import Merchant

_MINUTE_SECONDS = 60.0
_ALL_BURSTS = 3
_IPV6_PREFIX = 64


class RequestLimits:
    """The limits that the settings and the merchants' records name."""

    def __init__(self, limiter: Limiter, settings: ApiSettings) -> None:
        self._limiter = limiter
        self._settings = settings
        self._of_address = Quota(
            settings.address_registrations_per_minute / _MINUTE_SECONDS,
            settings.registration_burst,
        )
        self._of_all = Quota(
            settings.registrations_per_minute / _MINUTE_SECONDS,
            settings.registration_burst * _ALL_BURSTS,
        )

    async def admit_request(self, merchant: Merchant, mode: str) -> Admission:
        """One request of a merchant's key."""
        rate, burst = merchant.requests_per_second_max, merchant.request_burst_max
        quota = Quota(
            rate or self._settings.requests_per_second, burst or self._settings.request_burst
        )
        return await self._limiter.admit(f"{merchant.merchant_id}:{mode}", quota)

    async def admit_registration(self, address: str) -> Admission:
        """One registration by somebody unknown: of its address first, then of all."""
        own = await self._limiter.admit(f"registration:{_network(address)}", self._of_address)
        if not own.admitted:
            return own
        return await self._limiter.admit("registration", self._of_all)


def client_address(peer: str, forwarded_for: str, trusted_proxies: int) -> str:
    """The address that the outermost of our own proxies saw; entries before it may be forged."""
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    if trusted_proxies == 0 or len(hops) < trusted_proxies:
        return peer
    return hops[-trusted_proxies]


def _network(address: str) -> str:
    """The address; of IPv6 the /64, which one client has as a whole."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
