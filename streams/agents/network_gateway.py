"""Calls to one card network: client, circuit breaker and retries."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from engine import Retry
from runtime.backoff import backoff_seconds
from runtime.telemetry import gauge
from streams.agents.circuit_breaker import CircuitBreaker
from streams.agents.network_client import NetworkClient, NotProcessed, Reply, Unavailable
from streams.settings import NetworkSettings

Call = Callable[[], Awaitable[Reply]]


class CircuitOpen(NotProcessed, frozen=True):
    """The circuit breaker is open: nothing was sent."""

    seconds: float


class NetworkGateway:
    """Calls of one network; `name` is a `schemas.enums.Network`."""

    def __init__(self, name: str, client: NetworkClient, settings: NetworkSettings) -> None:
        self.client = client
        self._settings = settings
        self._state = gauge("paystream_network_circuit_breaker_state").labels(name)
        self._breaker = CircuitBreaker(
            settings.breaker_window_calls,
            settings.breaker_failure_ratio,
            settings.breaker_open_seconds,
        )

    async def call_with_retries(self, call: Call) -> Reply:
        """The first conclusive reply, else a summary of all of them.

        NotProcessed, and so CircuitOpen, only if no call can have reached the network. If one may
        have, an open circuit breaker raises Retry.
        """
        not_sent, number = True, 1
        while True:
            reply = await self._attempt(call)
            if isinstance(reply, CircuitOpen):
                return reply if not_sent else raise_retry(reply)
            if not isinstance(reply, Unavailable):
                return reply
            not_sent = not_sent and isinstance(reply, NotProcessed)
            if number == self._settings.attempts_max:
                return reply if not_sent else Unavailable(reply.reason)
            await asyncio.sleep(self._pause_seconds(number))
            number += 1

    async def call_once(self, call: Call) -> Reply:
        """One call. Raises Retry while the circuit breaker is open."""
        reply = await self._attempt(call)
        return raise_retry(reply) if isinstance(reply, CircuitOpen) else reply

    async def _attempt(self, call: Call) -> Reply:
        """One call, if the circuit breaker lets it pass; the breaker counts its result."""
        now = asyncio.get_running_loop().time
        if wait_seconds := self._breaker.wait_seconds(now()):
            self._state.set(self._breaker.state(now()))
            return CircuitOpen("the circuit breaker is open", wait_seconds)
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
        bound = backoff_seconds(number, settings.backoff_seconds, settings.backoff_seconds_max)
        return random.uniform(0, bound)  # noqa: S311 - spreads retries, no secret


def raise_retry(reply: CircuitOpen) -> Reply:
    """Nothing may be sent for a while. Raises Retry."""
    raise Retry(reply.seconds, "the card network is not available: the circuit breaker is open")
