"""Where a webhook may go: the address, checked where the connection is made.

Merchants choose the URL, so it must not reach internal systems. What may stand in a URL is the rule
of `schemas.urls`. A name may resolve differently the second time: so its address is checked here.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from schemas.urls import TargetRules, address_error

RESOLVERS_MAX = 32
"""Names that are resolved at the same time."""
ADDRESSES_MAX = 4
"""How many addresses of a host are tried."""


class ForbiddenTarget(OSError):
    """The address of the endpoint may not be called."""


class Unresolvable(OSError):
    """The name of the endpoint has no address."""


class GuardedResolver(AbstractResolver):
    """Resolves names to allowed addresses only; one that is not allowed refuses the name."""

    def __init__(self, rules: TargetRules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """At most ADDRESSES_MAX addresses. Raises ForbiddenTarget, Unresolvable."""
        addresses = await _resolve(host, port)
        for address in addresses:
            if problem := address_error(address, self._rules):
                raise ForbiddenTarget(errno.EACCES, problem)
        return [_result(host, port, address) for address in addresses[:ADDRESSES_MAX]]

    async def close(self) -> None:
        """Nothing is open."""


def guarded_socket(rules: TargetRules) -> Callable[[AddrInfoType], socket.socket]:
    """Makes sockets to allowed addresses only, also for a URL that names an address itself."""

    def new_socket(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = address
        if problem := address_error(str(where[0]), rules):
            raise ForbiddenTarget(errno.EACCES, problem)
        return socket.socket(family, kind, protocol)

    return new_socket


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


_RESOLVERS = ThreadPoolExecutor(RESOLVERS_MAX, thread_name_prefix="webhooks-dns")
_resolving: dict[str, Future[Any]] = {}


async def _resolve(host: str, port: int) -> list[str]:
    """Addresses of the host. Raises Unresolvable.

    The system's resolver blocks a thread, and nothing ends it: a name server that does not answer
    must not take the threads of other hosts, nor those of the event loop. One thread asks for all
    connections to a host.
    """
    asked = _resolving.get(host)
    if asked is None:
        if len(_resolving) >= RESOLVERS_MAX:
            raise Unresolvable(
                errno.EHOSTUNREACH, f"{host} cannot be resolved: {RESOLVERS_MAX} names wait"
            )
        asked = _RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        _resolving[host] = asked
        asked.add_done_callback(lambda _: _resolving.pop(host, None))
    try:
        found = await asyncio.shield(asyncio.wrap_future(asked))
    except (OSError, UnicodeError) as error:
        raise Unresolvable(errno.EHOSTUNREACH, f"{host} cannot be resolved: {error}") from error
    return [str(address[0]) for _, _, _, _, address in found]
