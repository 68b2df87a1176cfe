"""Where a webhook may go: the address, checked where the connection is made.

Merchants choose the URL, so it must not reach internal systems. What may stand in a URL is the rule
of `schemas.urls`. A name may resolve differently the second time: so its address is checked here.
"""

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpcore2

from schemas.urls import TargetRules, address_error

RESOLVERS_MAX = 32
"""Names that are resolved at the same time."""
ADDRESSES_MAX = 4
"""How many addresses of a host are tried."""


class ForbiddenTarget(httpcore2.ConnectError):
    """The address of the endpoint may not be called."""


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


_RESOLVERS = ThreadPoolExecutor(RESOLVERS_MAX, thread_name_prefix="webhooks-dns")
_resolving: dict[str, Future[Any]] = {}


async def _resolve(host: str, port: int) -> list[str]:
    """Addresses of the host. Raises httpcore2.ConnectError.

    The system's resolver blocks a thread, and nothing ends it: a name server that does not answer
    must not take the threads of other hosts, nor those of the event loop. One thread asks for all
    connections to a host.
    """
    asked = _resolving.get(host)
    if asked is None:
        if len(_resolving) >= RESOLVERS_MAX:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {RESOLVERS_MAX} names wait")
        asked = _RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        _resolving[host] = asked
        asked.add_done_callback(lambda _: _resolving.pop(host, None))
    try:
        found = await asyncio.shield(asyncio.wrap_future(asked))
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
    return [str(address[0]) for _, _, _, _, address in found]
