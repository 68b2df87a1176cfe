"""The way to one card network: its client, its breaker, its tries."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from engine import Retry
from runtime.telemetry import gauge
from streams.agents.circuit_breaker import Breaker
from streams.agents.network_client import NetworkClient, NotProcessed, Reply, Unavailable
from streams.settings import NetworkSettings

Call = Callable[[], Awaitable[Reply]]


class CircuitOpen(NotProcessed, frozen=True):
    """The breaker is open: nothing was sent."""

    seconds: float


class NetworkRoute:
    """Calls of one network; `name` is that of `vocabulary.Network`."""

    def __init__(self, name: str, client: NetworkClient, settings: NetworkSettings) -> None:
        self.client = client
        self._settings = settings
        self._state = gauge("paystream_network_circuit_breaker_state").labels(name)
        self._breaker = Breaker(
            settings.breaker_window_calls,
            settings.breaker_failure_ratio,
            settings.breaker_open_seconds,
        )

    async def persist(self, call: Call) -> Reply:
        """The first reply that decides something, else what can be said after the last.

        NotProcessed (CircuitOpen with it) only if no try may have reached the network; if one may
        have, an open breaker raises Retry.
        """
        sure, number = True, 1
        while True:
            reply = await self._attempt(call)
            if isinstance(reply, CircuitOpen):
                return reply if sure else patience(reply)
            if not isinstance(reply, Unavailable):
                return reply
            sure = sure and isinstance(reply, NotProcessed)
            if number == self._settings.attempts_max:
                return reply if sure else Unavailable(reply.reason)
            await asyncio.sleep(self._pause_seconds(number))
            number += 1

    async def tried(self, call: Call) -> Reply:
        """One call. Raises Retry while the breaker is open."""
        reply = await self._attempt(call)
        return patience(reply) if isinstance(reply, CircuitOpen) else reply

    async def _attempt(self, call: Call) -> Reply:
        """One call, if the breaker lets it pass; what it comes to is told to the breaker."""
        now = asyncio.get_running_loop().time
        if wait_seconds := self._breaker.wait_seconds(now()):
            self._state.set(self._breaker.state(now()))
            return CircuitOpen("the breaker is open", wait_seconds)
        reply = await call()
        if isinstance(reply, Unavailable):
            self._breaker.failed(now())
        else:
            self._breaker.succeeded()
        self._state.set(self._breaker.state(now()))
        return reply

    def _pause_seconds(self, number: int) -> float:
        """Full jitter: anything up to a bound that doubles."""
        settings = self._settings
        bound = min(settings.backoff_seconds_max, settings.backoff_seconds * 2 ** (number - 1))
        return random.uniform(0, bound)  # noqa: S311 - spreads retries, no secret


def patience(shut: CircuitOpen) -> Reply:
    """Nothing may be sent for a while. Raises Retry."""
    raise Retry(shut.seconds, "the card network is not available: the breaker is open")
