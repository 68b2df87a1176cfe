"""Answers that come twice: the network reports an operation's outcome again, by a signed POST.

A notification reports the outcome at the moment when the operation took effect, and is sent after a
random delay. So it may overtake the answer, and may be out of date when it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from standardwebhooks import Webhook

from devstack.simulators.server import Simulator
from devstack.simulators.settings import NetworkSettings

PATH = "/v1/network_notifications"
IN_FLIGHT_MAX = 1_000
TRIES_MAX = 8
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
_REPORTED = ("idempotency_key", "operation", "outcome", "network_reference", "decline_code")


class Notifications:
    """Sends them in tasks of its own; more than IN_FLIGHT_MAX at a time are left out, and counted.

    `counts`: what became of them.
    """

    def __init__(
        self, simulator: Simulator, settings: NetworkSettings, env: Mapping[str, str]
    ) -> None:
        api = env.get("API_URL", "")
        self._url = settings.callback_url or (f"{api}{PATH}" if api else "")
        self._secret = env.get("NETWORK_NOTIFICATION_SECRET", "")
        self._settings = settings
        self._simulator = simulator
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()

    def consider(self, record: Mapping[str, Any]) -> None:
        """Report the outcome of this operation again, at random."""
        seed = f"{self._settings.seed}:doubled:{record['idempotency_key']}"
        source = random.Random(seed)  # noqa: S311 - a simulation
        if source.random() >= self._settings.doubled_answers or not (self._url and self._secret):
            return
        if len(self._tasks) >= IN_FLIGHT_MAX:
            self.counts["notifications_left_out"] += 1
            return
        delay_seconds = source.random() * self._settings.doubled_seconds_max
        outcome = {
            name: record[name] for name in (*_REPORTED, "action_url") if record[name] is not None
        }
        task = asyncio.create_task(self._deliver(outcome, delay_seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way: nobody is promised a notification."""
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, outcome: Mapping[str, Any], delay_seconds: float) -> None:
        await self._simulator.pause(delay_seconds)
        for _ in range(TRIES_MAX):
            if self._simulator.stopping.is_set():
                return
            if await self._sent(outcome):
                self.counts["doubled_answer"] += 1
                return
            await self._simulator.pause(PAUSE_SECONDS)
        self.counts["notifications_given_up"] += 1

    async def _sent(self, outcome: Mapping[str, Any]) -> bool:
        """Whether it was accepted, or will never be."""
        body = msgspec.json.encode(outcome).decode()
        message_id = f"ntf_{outcome['idempotency_key'].replace(':', '_')}"
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._secret).sign(message_id, now, body),
        }
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                return answer.status < 500 and answer.status != 429
        return False
