"""A stand-in for the HTTP API with the same contract, to see what the traffic does against it.

Payments reach their next status at once. Every `fault_each`th request to `/v1` goes wrong, in turn:
503 without effect, and the connection closed after the effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from joserfc.jwk import ECKey

from devstack.simulators.cards import behaviour_of
from devstack.simulators.network_keys import decrypt, jwks
from schemas.ids import command_id, payment_id

Body = dict[str, Any]


@dataclass
class FakeApi:
    """State of the stand-in, which tests read; it outlives the server in front of it."""

    url: str
    fault_each: int = 0
    key: ECKey = field(
        default_factory=lambda: ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES"})
    )
    merchants: dict[str, Body] = field(default_factory=dict)
    payments: dict[str, Body] = field(default_factory=dict)
    first_bodies: dict[str, Body] = field(default_factory=dict)
    answers: dict[str, Body] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    payouts: list[str] = field(default_factory=list)
    requests: int = 0

    def application(self) -> web.Application:
        """An aiohttp application over this state."""

        @web.middleware
        async def weather(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._weather(request, handler)

        app = web.Application(middlewares=[weather])
        app.add_routes(
            [
                web.get("/.well-known/jwks.json", self._jwks),
                web.post("/v1/merchants", self._register),
                web.post("/v1/payouts", self._pay_out),
                web.post("/v1/payments", self._create),
                web.get("/v1/payments/{id}", self._read),
                web.post("/v1/payments/{id}/{step}", self._step),
                web.post("/actions/{id}", self._act),
            ]
        )
        return app

    async def _weather(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests += 1
        turn, is_fault = divmod(self.requests, self.fault_each or 10**9)
        if is_fault == 0 and request.path.startswith("/v1/payments") and turn % 2:
            return web.json_response({"code": "overloaded"}, status=503)
        response = await handler(request)
        if is_fault == 0 and request.path.startswith("/v1/payments") and request.transport:
            request.transport.abort()
        return response

    async def _jwks(self, request: web.Request) -> web.Response:
        return web.json_response(jwks(self.key))

    async def _register(self, request: web.Request) -> web.Response:
        body = await request.json()
        number = len(self.merchants)
        self.merchants[f"sk_test_{number:08d}"] = body
        endpoint = {"id": "we_1", "url": body.get("webhook_url"), "secret": "whsec_c2VjcmV0cw=="}
        return web.json_response(
            {
                "id": f"mer_{number}",
                "api_keys": {"test": f"sk_test_{number:08d}", "live": "sk_live_0"},
                "webhook_endpoint": endpoint if "webhook_url" in body else None,
            },
            status=201,
        )

    async def _pay_out(self, request: web.Request) -> web.Response:
        self.payouts.append(request.headers["Authorization"])
        return web.json_response({"request_id": "por_1"}, status=202)

    async def _create(self, request: web.Request) -> web.Response:
        body, key = await request.json(), request.headers["Idempotency-Key"]
        card = decrypt(self.key, body.pop("card"))
        payment = payment_id(request.headers["Authorization"], "test", key)
        if self._is_other(payment, body):
            return _problem(422, "idempotency_mismatch")
        is_replay = payment in self.payments
        if not is_replay:
            self.payments[payment] = self._authorized(payment, body, card.number)
        answer = {"id": payment, "command_id": command_id(payment, "create", key)}
        return self._answer(request, self.payments[payment], answer, is_replay)

    def _authorized(self, payment: str, body: Body, number: str) -> Body:
        behaviour = behaviour_of(number)
        view = {
            "id": payment,
            "amount": body["amount"],
            "captured": 0,
            "refunded": 0,
            "sequence": 1,
            "action_url": f"{self.url}/actions/{payment}",
            "manual": body["capture_method"] == "manual",
        }
        if behaviour.needs_action:
            return view | {"status": "requires_action"}
        if behaviour.authorize_decline:
            return view | {"status": "declined"}
        return _after_authorization(view)

    async def _read(self, request: web.Request) -> web.Response:
        view = self.payments.get(request.match_info["id"])
        return web.json_response(view) if view else _problem(404, "not_found")

    async def _act(self, request: web.Request) -> web.Response:
        self.results[request.match_info["id"]] = (await request.json())["result"]
        return web.json_response({})

    async def _step(self, request: web.Request) -> web.Response:
        payment, step = request.match_info["id"], request.match_info["step"]
        view, body = self.payments[payment], await request.json()
        command = command_id(payment, step.removesuffix("s"), request.headers["Idempotency-Key"])
        if self._is_other(command, body):
            return _problem(422, "idempotency_mismatch")
        is_replay = command in self.answers
        if not is_replay:
            if problem := self._apply(view, step, body):
                del self.first_bodies[command]
                return _problem(409, problem)
            view["sequence"] += 1
            self.answers[command] = {"command_id": command, "payment_id": payment}
        return self._answer(request, view, self.answers[command], is_replay)

    def _apply(self, view: Body, step: str, body: Body) -> str | None:
        match step, view["status"]:
            case "complete_action", "requires_action":
                won = self.results.get(view["id"]) == "success"
                view.update(_after_authorization(view) if won else {"status": "declined"})
            case "capture", "authorized" | "partially_captured":
                view["captured"] += body.get("amount", view["amount"] - view["captured"])
                left = view["amount"] - view["captured"]
                is_all = body.get("final") or left == 0
                view["status"] = "captured" if is_all else "partially_captured"
            case "void", "authorized":
                view["status"] = "voided"
            case "refunds", "captured":
                amount = body.get("amount", view["captured"] - view["refunded"])
                if view["refunded"] + amount > view["captured"]:
                    return "amount_too_large"
                view["refunded"] += amount
            case _:
                return "wrong_state"
        return None

    def _is_other(self, command: str, body: Body) -> bool:
        return self.first_bodies.setdefault(command, body) != body

    @staticmethod
    def _answer(request: web.Request, view: Body, short: Body, is_replay: bool) -> web.Response:
        waits = "Prefer" in request.headers
        headers = {"Idempotent-Replayed": "true"} if is_replay else {}
        body, status = (view, 200) if waits else (short, 202)
        return web.json_response(body, status=status, headers=headers)


def _after_authorization(view: Body) -> Body:
    if view["manual"]:
        return view | {"status": "authorized"}
    return view | {"status": "captured", "captured": view["amount"]}


def _problem(status: int, code: str) -> web.Response:
    return web.json_response({"code": code, "detail": code}, status=status)
