"""The statement of our account at the simulated bank: deposits of the network, payouts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import aiohttp
from aiohttp import web

from devstack.simulators.bank_rules import Bank
from devstack.simulators.journal import Journal
from devstack.simulators.server import answer_json, refuse
from devstack.simulators.settlement_book import day_of
from runtime.settings import connections
from schemas.enums import BankLineKind

Record = dict[str, Any]
DEPOSITED = "deposit"
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class BankStatement:
    """Deposits by the network's transfer id; what NETWORK_URL has paid is fetched when asked."""

    def __init__(self, bank: Bank, environment: Mapping[str, str] = os.environ) -> None:
        self._bank = bank
        at = connections(environment)
        self._network_urls = [url for url in (at.network_url, at.network_fallback_url) if url]
        self.deposits: dict[str, Record] = {}
        self.journal: Journal | None = None

    def apply(self, record: Record) -> bool:
        """Apply one record of the journal; false if it belongs to another part."""
        if record["kind"] != DEPOSITED:
            return False
        self.deposits[record["transfer_id"]] = record
        return True

    async def page(self, request: web.Request) -> web.Response:
        """Lines of `?since=YYYY-MM-DD` and later, oldest first."""
        since = request.query.get("since", "")
        try:
            date.fromisoformat(since)
        except ValueError:
            refuse(400, "date_invalid", "Say from which day (UTC), as in ?since=2026-11-21.")
        await self._fetch()
        lines = [line for line in self.lines() if line["statement_day"] >= since]
        return answer_json({"lines": sorted(lines, key=lambda line: line["booked_at_ms"])})

    def lines(self) -> Iterable[Record]:
        """Every booking; above 0 to the account."""
        for deposit in self.deposits.values():
            yield _line(
                f"dep_{deposit['transfer_id']}",
                BankLineKind.DEPOSIT,
                deposit["report_id"],
                deposit,
                deposit["amount_minor"],
            )
        for payout in self._bank.log_lines():
            if payout["status"] == "accepted":
                key, amount_minor = payout["idempotency_key"], -payout["amount_minor"]
                reference = payout["bank_reference"]
                yield _line(reference, BankLineKind.PAYOUT, key, payout, amount_minor)

    async def _fetch(self) -> None:
        """Store new transfers of the networks; an unavailable network pays later."""
        if self.journal is None:
            return
        for url in self._network_urls:
            for transfer in await _transfers(url):
                if transfer["transfer_id"] not in self.deposits:
                    record = {"kind": DEPOSITED, **transfer}
                    self.journal.append(record)
                    self.apply(record)
        await self.journal.flushed()


async def _transfers(url: str) -> list[Record]:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(f"{url}/v1/transfers") as answer,
        ):
            return list((await answer.json())["transfers"]) if answer.status == 200 else []
    except (aiohttp.ClientError, TimeoutError):
        return []


def _line(
    line_id: str, kind: BankLineKind, reference: str, booked: Record, amount_minor: int
) -> Record:
    day = day_of(booked["at_ms"])
    return {
        "line_id": line_id,
        "statement_day": day,
        "line_kind": kind,
        "reference": reference,
        "currency": booked["currency"],
        "amount_minor": amount_minor,
        "value_day": booked.get("value_day", day),
        "booked_at_ms": booked["at_ms"],
    }
