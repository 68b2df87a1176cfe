"""Where a webhook may go: rules for the URL, and for the address at the time of connecting.

Merchants choose the URL, so it must not reach internal systems. The address is checked where the
connection is made, not before: a name may resolve differently the second time.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import msgspec

URL_CHARACTERS_MAX = 2048
ADDRESSES_MAX = 4
"""How many addresses of a host are tried."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed beside https to public addresses."""

    allow_loopback: bool = False
    allow_private_addresses: bool = False


class ForbiddenTarget(httpcore2.ConnectError):
    """The address of the endpoint may not be called."""


def url_error(url: str, rules: TargetRules) -> str | None:
    """Why the URL may not be called, in a sentence; None if it may be tried."""
    if len(url) > URL_CHARACTERS_MAX:
        return f"the URL is longer than {URL_CHARACTERS_MAX} characters"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        return f"the URL cannot be read: {error}"
    if not host or parts.username is not None:
        return "the URL must have a host and no user name"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback_host(host, rules)):
        return None
    return "the URL must begin with https://"


def address_error(address: str, rules: TargetRules) -> str | None:
    """Why the address may not be connected to; None if it may."""
    parsed = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if parsed.is_loopback:
        return None if rules.allow_loopback else f"{address} is this machine"
    if parsed.is_global and not parsed.is_multicast:
        return None
    if rules.allow_private_addresses and parsed.is_private and not parsed.is_unspecified:
        return None
    return f"{address} is not a public address"


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside of a mapped, 6to4 or NAT64 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def _is_loopback_host(host: str, rules: TargetRules) -> bool:
    """Only literal loopback hosts: a name could point anywhere, and http hides nothing."""
    if not rules.allow_loopback:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects only to allowed addresses; raises ForbiddenTarget for the others."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address that takes one, if all of them are allowed."""
        addresses = await _resolve(host, port)
        for address in addresses:
            if problem := address_error(address, self._rules):
                raise ForbiddenTarget(problem)
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses[:ADDRESSES_MAX]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Never allowed: a merchant's endpoint is not a local socket file."""
        raise ForbiddenTarget("a webhook does not go to a socket file")

    async def sleep(self, seconds: float) -> None:
        """As the base class wants it."""
        await self._backend.sleep(seconds)


async def _resolve(host: str, port: int) -> list[str]:
    """Addresses of the host. Raises httpcore2.ConnectError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
    return [str(address[0]) for _, _, _, _, address in found]
