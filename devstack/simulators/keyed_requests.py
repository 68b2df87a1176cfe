"""One request with an idempotency key: its faults, its one effect, its durable answer.

The effect is decided and applied between two awaits of the event loop, so copies of a request that
arrive at the same time meet the first one's record.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from aiohttp import web

from devstack.simulators.cards import TimeOut
from devstack.simulators.fault_profile import Fault, RequestFaults, sample_faults
from devstack.simulators.server import Simulator, answer_json, refuse

Record = dict[str, Any]


class KeyedState(Protocol):
    """State of a simulator whose operations have keys."""

    requests: Counter[str]

    def apply(self, record: Record) -> None:
        """Apply one record of the journal."""

    def fingerprint_of(self, key: str) -> str | None:
        """Fingerprint of the body that took effect, None if none did."""

    def answer(self, key: str) -> Record:
        """The response to the operation."""


def fingerprint(body: bytes) -> str:
    """The same for two JSON bodies that say the same."""
    value = msgspec.json.decode(body)
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


class Exchange:
    """Performs keyed requests of one simulator on its state and journal."""

    def __init__(self, simulator: Simulator, state: KeyedState) -> None:
        self._simulator = simulator
        self._state = state
        self._fault_profile = simulator.settings.fault_profile()
        self._questions: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    async def perform(
        self,
        request: web.Request,
        key: str,
        fingerprint: str,
        time_out: TimeOut,
        decide: Callable[[], Record],
    ) -> web.StreamResponse:
        """Answer a request; `decide` makes the record of its effect, called at most once per key.

        409 if the key took effect with another body.
        """
        self._check_body(key, fingerprint)
        faults = sample_faults(self._fault_profile, key, self._state.requests[key] + 1)
        refused = time_out == TimeOut.NONE and faults.fault == Fault.REFUSED
        if refused or time_out == TimeOut.WITHOUT_EFFECT or self._state.fingerprint_of(key):
            self._note({"kind": "seen", "idempotency_key": key})
        else:
            self._note(decide())
        await self._simulator.journal.flushed()
        if time_out != TimeOut.NONE:
            return await self._hold(request, time_out)
        return await self._answer(request, key, faults)

    async def status(self, request: web.Request, key: str) -> web.StreamResponse:
        """What is known about a key; 404 if it never took effect."""
        self._questions[key] += 1
        faults = sample_faults(self._fault_profile, f"status:{key}", self._questions[key])
        await self._simulator.journal.flushed()
        if faults.fault != Fault.REFUSED and self._state.fingerprint_of(key) is None:
            await self._simulator.pause(faults.latency_seconds)
            refuse(404, "never_seen", "No operation with this idempotency key took effect.")
        return await self._answer(request, key, faults)

    def _check_body(self, key: str, fingerprint: str) -> None:
        known = self._state.fingerprint_of(key)
        if known is not None and known != fingerprint:
            refuse(
                409,
                "key_reused",
                "This idempotency key was used with another body: send the first body again or"
                " take a new key.",
            )

    def _note(self, record: Record) -> None:
        self._simulator.journal.append(record)
        self._state.apply(record)

    async def _hold(self, request: web.Request, time_out: TimeOut) -> web.StreamResponse:
        self.injected[f"time_out_{time_out}"] += 1
        await self._simulator.pause(self._simulator.settings.hold_seconds)
        return drop_connection(request)

    async def _answer(
        self, request: web.Request, key: str, faults: RequestFaults
    ) -> web.StreamResponse:
        await self._simulator.pause(faults.latency_seconds)
        if faults.fault:
            self.injected[faults.fault] += 1
        match faults.fault:
            case Fault.REFUSED:
                refuse(
                    503,
                    "unavailable",
                    "Nothing was done: try again with the same key.",
                    processed=False,
                )
            case Fault.FAILED_AFTER_EFFECT:
                refuse(500, "internal", "The outcome is not known: try again with the same key.")
            case Fault.LOST_ANSWER:
                return drop_connection(request)
        answer = self._state.answer(key)
        return answer_json({name: value for name, value in answer.items() if value is not None})


def drop_connection(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
