"""The simulated webhook receiver.

`python -m devstack.simulators.receiver --port N --state-dir D`.
"""

from __future__ import annotations

import binascii
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from devstack.simulators import settings
from devstack.simulators.fault_profile import Fault, sample_faults
from devstack.simulators.journal import Journal, read_lines
from devstack.simulators.keyed_requests import drop_connection
from devstack.simulators.receiver_rules import Receiver
from devstack.simulators.server import Simulator, answer_json, read_body, refuse, run


class Secret(msgspec.Struct, frozen=True):
    """The signing secret of an endpoint."""

    secret: str


class ReceiverSimulator(Simulator):
    """HTTP in front of `receiver_rules.Receiver`."""

    name = "receiver"

    def __init__(self, chosen: settings.SimulatorSettings) -> None:
        log = Path(chosen.state_dir) / "receiver.log"
        self.receiver = Receiver()
        for record in read_lines(log):
            self.receiver.apply(record)
        super().__init__(chosen, Journal(log))
        self._fault_profile = chosen.fault_profile()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/hooks/{endpoint}", self._receive),
            web.post("/secrets/{endpoint:.+}", self._register),
        ]

    def log_lines(self) -> Iterator[Mapping[str, Any]]:
        return self.receiver.log_lines()

    def summary(self) -> Mapping[str, Any]:
        return self.receiver.summary()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        endpoint, body = request.match_info["endpoint"], await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        record = self.receiver.decide(endpoint, headers, body, at_ms=time.time_ns() // 1_000_000)
        faults = sample_faults(self._fault_profile, record["webhook_id"], record["attempt"])
        if faults.fault == Fault.REFUSED:
            refuse(503, "unavailable", "Nothing was received: send it again.")
        self.journal.append(record)
        self.receiver.apply(record)
        await self.journal.flushed()
        is_slow = endpoint.startswith("slow-")
        await self.pause(self.settings.slow_seconds if is_slow else faults.latency_seconds)
        if faults.fault:
            return drop_connection(request)
        return answer_json({"received": record["webhook_id"]}, record["status"])

    async def _register(self, request: web.Request) -> web.Response:
        """Remember a secret for `/hooks/{endpoint}`; earlier ones stay valid (rotation)."""
        endpoint = request.match_info["endpoint"].removeprefix("hooks/")
        secret = (await read_body(request, Secret)).secret
        try:
            Webhook(secret)
        except (EmptyWebhookSecretError, binascii.Error):
            refuse(400, "secret_invalid", "A secret is whsec_ and base64, as the API gave it.")
        record = {"kind": "secret", "endpoint": endpoint, "secret": secret}
        self.journal.append(record)
        self.receiver.apply(record)
        await self.journal.flushed()
        return answer_json({"endpoint": endpoint})


def main() -> int:
    """Entry point of the process."""
    chosen = settings.load("receiver", settings.ReceiverSettings)
    return run(lambda: ReceiverSimulator(chosen))


if __name__ == "__main__":
    sys.exit(main())
