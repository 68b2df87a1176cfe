"""The simulated card network: `python -m devstack.simulators.network --port N --state-dir D`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiohttp import web

from devstack.simulators import network_keys, settings
from devstack.simulators.cards import NOT_READABLE, Behaviour, behaviour_of
from devstack.simulators.journal import Journal, read_lines
from devstack.simulators.keyed_requests import Exchange, fingerprint
from devstack.simulators.network_notifications import Notifications
from devstack.simulators.network_pages import question
from devstack.simulators.network_rules import Network, OperationRequest, Record
from devstack.simulators.server import LOOPBACK, Simulator, answer_json, read_body, refuse, run
from devstack.simulators.settlement_book import SettlementBook
from devstack.simulators.settlement_pages import SettlementPages
from schemas.enums import Operation


class ActionAnswer(msgspec.Struct, frozen=True):
    """What the customer answered."""

    result: Literal["success", "failure"]


class NetworkSimulator(Simulator):
    """HTTP in front of `network_rules.Network`."""

    name = "network"

    def __init__(self, chosen: settings.NetworkSettings, env: Mapping[str, str]) -> None:
        log = Path(chosen.state_dir) / "network.log"
        self.network = Network()
        name = Path(chosen.state_dir).name  # two networks have two
        book = SettlementBook(name, self.network.operations)
        for record in read_lines(log):
            self.network.apply(record)
            book.apply(record)
        super().__init__(chosen, Journal(log))
        key_file = chosen.key_file or Path(chosen.state_dir) / "network_key.json"
        self.key = network_keys.load_key(Path(key_file))
        self.exchange = Exchange(self, self.network)
        self.notifications = Notifications(self, chosen, env)
        self.settlements = SettlementPages(self, book)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/operations", self._operate),
            web.get("/v1/operations/{key}", self._status),
            web.get("/actions/{id}", self._ask),
            web.post("/actions/{id}", self._act),
            web.get("/.well-known/jwks.json", self._jwks),
            *self.settlements.routes(),
        ]

    def log_lines(self) -> Iterator[Mapping[str, Any]]:
        return self.network.log_lines()

    def summary(self) -> Mapping[str, Any]:
        faults = self.exchange.injected + self.notifications.counts
        return self.network.summary() | {"faults": faults}

    def application(self) -> web.Application:
        async def end(app: web.Application) -> None:
            await self.notifications.close()

        app = super().application()
        app.on_cleanup.append(end)
        return app

    async def _operate(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, OperationRequest)
        mark = fingerprint(await request.read())
        behaviour = self._behaviour(body)

        def decide() -> Record:
            record = self.network.decide(
                body,
                behaviour,
                fingerprint=mark,
                at_ms=time.time_ns() // 1_000_000,
                base_url=f"http://{LOOPBACK}:{self.settings.port}",
            )
            self.notifications.consider(record)
            return record

        time_out = self.network.time_out(body, behaviour)
        return await self.exchange.perform(request, body.idempotency_key, mark, time_out, decide)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return await self.exchange.status(request, request.match_info["key"])

    async def _ask(self, request: web.Request) -> web.Response:
        operation = self._pending(request.match_info["id"])
        page = question(operation["amount_minor"], operation["currency"])
        return web.Response(text=page, content_type="text/html")

    async def _act(self, request: web.Request) -> web.Response:
        """Answer the question: a form is redirected to the merchant, JSON gets JSON."""
        action_id = request.match_info["id"]
        operation = self._pending(action_id)
        is_form = request.content_type != "application/json"
        result = await self._answered(request, is_form)
        earlier = operation.get("action_result")
        if earlier not in (None, result):
            refuse(409, "already_answered", f"The customer answered {earlier} before.")
        if earlier is None:
            record = {"kind": "action", "action_id": action_id, "result": result}
            self.journal.append(record)
            self.network.apply(record)
        await self.journal.flushed()
        if is_form and operation["return_url"]:
            return web.Response(status=303, headers={"Location": operation["return_url"]})
        return answer_json(
            {
                "result": result,
                "outcome": operation["outcome"],
                "return_url": operation["return_url"],
            }
        )

    async def _jwks(self, request: web.Request) -> web.Response:
        return answer_json(network_keys.jwks(self.key))

    @staticmethod
    async def _answered(request: web.Request, is_form: bool) -> str:
        if not is_form:
            return (await read_body(request, ActionAnswer)).result
        result = (await request.post()).get("result")
        if result not in ("success", "failure"):
            refuse(400, "body_invalid", "The form needs result=success or result=failure.")
        return str(result)

    def _pending(self, action_id: str) -> Record:
        key = self.network.actions.get(action_id)
        if key is None:
            refuse(404, "no_such_action", f"There is no action {action_id}.")
        return self.network.operations[key]

    def _behaviour(self, body: OperationRequest) -> Behaviour:
        if body.operation != Operation.AUTHORIZE:
            return self.network.behaviour_of_reference(body.network_reference)
        try:
            return behaviour_of(network_keys.decrypt(self.key, body.card or "").number)
        except network_keys.CardNotReadableError:
            return NOT_READABLE


def main() -> int:
    """Entry point of the process."""
    chosen = settings.load("network", settings.NetworkSettings)
    return run(lambda: NetworkSimulator(chosen, os.environ))


if __name__ == "__main__":
    sys.exit(main())
