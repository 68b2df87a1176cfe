"""The settlement reports of the simulated network over HTTP, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import time
from typing import Protocol

import msgspec
from aiohttp import web

from devstack.simulators.journal import Journal
from devstack.simulators.server import answer_json, read_body, refuse
from devstack.simulators.settlement_book import Record, Report, ReportLine, SettlementBook

LINE_FIELDS = ReportLine.__struct_fields__


class CloseRequest(msgspec.Struct, frozen=True):
    """Body of `POST /v1/settlements/close`: differences by name, and the time to go by."""

    differences: dict[str, int] = {}
    published_at_ms: int | None = None


class Journaled(Protocol):
    """The simulator that has the pages."""

    journal: Journal


class SettlementPages:
    """Pages over a book; each closing is durable before anybody reads of it."""

    def __init__(self, simulator: Journaled, book: SettlementBook) -> None:
        self._simulator = simulator
        self._book = book

    def routes(self) -> list[web.RouteDef]:
        """Where reports, transfers and injected differences are."""
        return [
            web.get("/v1/settlements", self._list),
            web.post("/v1/settlements/close", self._close),
            web.get("/v1/settlements/differences", self._differences),
            web.get("/v1/settlements/{id}.csv", self._csv),
            web.get("/v1/settlements/{id}", self._json),
            web.get("/v1/transfers", self._transfers),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        """Reports of `?since=YYYY-MM-DD` and later; days that are over are closed first."""
        for record in self._book.due_closings(_now_ms()):
            self._note(record)
        since = request.query.get("since", "")
        await self._simulator.journal.flushed()
        reports = [report for report, _ in self._book.reports.values() if report.day >= since]
        return answer_json({"reports": reports})

    async def _close(self, request: web.Request) -> web.Response:
        body = await read_body(request, CloseRequest)
        known = len(self._book.reports)
        try:
            record = self._book.closing(body.published_at_ms or _now_ms(), body.differences)
        except ValueError as error:
            refuse(409, "not_closed", f"The day was not closed: {error}.")
        self._note(record)
        await self._simulator.journal.flushed()
        made = list(self._book.reports.values())[known:]
        return answer_json({"reports": [report for report, _ in made]})

    async def _differences(self, request: web.Request) -> web.Response:
        await self._simulator.journal.flushed()
        return answer_json({"differences": self._book.differences})

    async def _transfers(self, request: web.Request) -> web.Response:
        await self._simulator.journal.flushed()
        return answer_json({"transfers": self._book.transfers})

    async def _json(self, request: web.Request) -> web.Response:
        report, lines = self._found(request)
        return answer_json({"report": report, "lines": lines})

    async def _csv(self, request: web.Request) -> web.Response:
        report, lines = self._found(request)
        return web.Response(text=csv_text(report, lines), content_type="text/csv")

    def _found(self, request: web.Request) -> tuple[Report, tuple[ReportLine, ...]]:
        report_id = request.match_info["id"]
        found = self._book.reports.get(report_id)
        if found is None:
            refuse(404, "no_such_report", f"There is no report {report_id}.")
        return found

    def _note(self, record: Record) -> None:
        self._simulator.journal.append(record)
        self._book.apply(record)


def csv_text(report: Report, lines: tuple[ReportLine, ...]) -> str:
    """H: the report; L: a line, in the order of `LINE_FIELDS`; T: count and sums."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    head = (report.report_id, report.network, report.day, report.currency, report.value_day)
    writer.writerow(("H", *head, report.published_at_ms))
    writer.writerows(("L", *msgspec.structs.astuple(line)) for line in lines)
    sums = (report.gross_minor, report.fee_minor, report.net_minor)
    writer.writerow(("T", report.lines, *sums))
    return text.getvalue()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
