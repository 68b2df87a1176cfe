"""The simulated bank: `python -m devstack.simulators.bank --port N --state-dir D`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from aiohttp import web

from devstack.simulators import settings
from devstack.simulators.bank_rules import Bank, PayoutInstruction
from devstack.simulators.bank_statement import BankStatement
from devstack.simulators.journal import Journal, read_lines
from devstack.simulators.keyed_requests import Exchange, fingerprint
from devstack.simulators.server import Simulator, answer_json, read_body, refuse, run


class BankSimulator(Simulator):
    """HTTP in front of `bank_rules.Bank`."""

    name = "bank"

    def __init__(self, chosen: settings.SimulatorSettings) -> None:
        log = Path(chosen.state_dir) / "bank.log"
        self.bank = Bank()
        self.bookings = BankStatement(self.bank)
        for record in read_lines(log):
            if not self.bookings.apply(record):
                self.bank.apply(record)
        super().__init__(chosen, Journal(log))
        self.bookings.journal = self.journal
        self.exchange = Exchange(self, self.bank)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/payouts", self._pay),
            web.get("/v1/payouts/{key}", self._status),
            web.get("/v1/statements", self._statement),
            web.get("/v1/statements/lines", self.bookings.page),
        ]

    def log_lines(self) -> Iterator[Mapping[str, Any]]:
        return self.bank.log_lines()

    def summary(self) -> Mapping[str, Any]:
        return self.bank.summary() | {"faults": self.exchange.injected}

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, PayoutInstruction)
        mark = fingerprint(await request.read())
        at_ms = time.time_ns() // 1_000_000
        return await self.exchange.perform(
            request,
            body.idempotency_key,
            mark,
            self.bank.time_out(body),
            lambda: self.bank.decide(body, fingerprint=mark, at_ms=at_ms),
        )

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return await self.exchange.status(request, request.match_info["key"])

    async def _statement(self, request: web.Request) -> web.Response:
        try:
            day = date.fromisoformat(request.query.get("date", ""))
        except ValueError:
            refuse(400, "date_invalid", "Ask for one day (UTC), as in ?date=2026-11-21.")
        await self.journal.flushed()
        return answer_json({"date": day.isoformat(), "bookings": self.bank.statement(day)})


def main() -> int:
    """Entry point of the process."""
    chosen = settings.load("bank", settings.SimulatorSettings)
    return run(lambda: BankSimulator(chosen))


if __name__ == "__main__":
    sys.exit(main())
