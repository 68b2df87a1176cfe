"""Settlement reports of the simulated network: its own operations, a day closed at a time (pure).

A closing is a record of the journal, so a restarted network publishes the same reports. Differences
are injected on request: the first operations of a closing get them, in the order of
`LINE_INJECTIONS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec

from schemas.enums import BreakKind, Operation, Outcome

Record = dict[str, Any]
LINE_INJECTIONS = ("missing", "extra", "amount", "currency", "duplicate", "late")
REPORT_INJECTIONS = ("deposit_missing", "deposit_amount", "deposit_duplicate")
CLOSED = "settlement_closed"
CAPTURE_FEE_BASIS_POINTS = 120
REFUND_FEE_MINOR = 5
STRAY_GROSS_MINOR = 777
DIFFERENCE_MINOR = 7
_BREAKS = {
    "missing": BreakKind.MISSING_IN_REPORT,
    "extra": BreakKind.MISSING_IN_LEDGER,
    "deposit_missing": BreakKind.MISSING_IN_REPORT,
    "deposit_amount": BreakKind.AMOUNT,
    "deposit_duplicate": BreakKind.DUPLICATE,
}


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line; above 0 is money to the merchant side."""

    line_id: str
    line_kind: str
    operation_id: str
    network_reference: str
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    effective_at_ms: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says of itself; `lines` is a count."""

    report_id: str
    network: str
    day: str
    currency: str
    value_day: str
    published_at_ms: int
    lines: int
    gross_minor: int
    fee_minor: int
    net_minor: int


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """What the network pays to the bank for a report."""

    transfer_id: str
    report_id: str
    currency: str
    amount_minor: int
    value_day: str
    at_ms: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What was injected, and the break that it must become."""

    level: str
    kind: str
    report_id: str
    operation_id: str | None = None


@dataclass
class SettlementBook:
    """Reports with their lines, transfers and injected differences, oldest first."""

    network: str
    operations: Mapping[str, Record]
    """The network's operations by key, in the order in which they took effect."""
    until: int = 0
    """So many of them are closed."""
    closings: int = 0
    held_back: list[Record] = field(default_factory=list)
    reports: dict[str, tuple[Report, tuple[ReportLine, ...]]] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def apply(self, record: Record) -> None:
        """Fold one record of the journal; all but closings are left alone."""
        if record["kind"] == CLOSED:
            self._close(record)

    def closing(self, published_at_ms: int, injections: Mapping[str, int]) -> Record:
        """The record that closes everything until now. Raises ValueError if it cannot be."""
        injections = {name: count for name, count in injections.items() if count > 0}
        if unknown := injections.keys() - {*LINE_INJECTIONS, *REPORT_INJECTIONS}:
            names = ", ".join((*LINE_INJECTIONS, *REPORT_INJECTIONS))
            raise ValueError(f"{sorted(unknown)} cannot be injected. Choose from {names}.")
        here = len(self._moved(len(self.operations)))
        wanted = sum(injections.get(name, 0) for name in LINE_INJECTIONS)
        if wanted > here:
            raise ValueError(
                f"{wanted} differences need as many operations; there are {here}. Inject fewer."
            )
        return self._record(
            day_of(published_at_ms), len(self.operations), published_at_ms, injections
        )

    def due_closings(self, now_ms: int) -> Iterator[Record]:
        """Records that close the days (UTC) that are over; apply each before the next."""
        today = day_of(now_ms)
        while self.until < len(self.operations):
            waiting = list(islice(self.operations.values(), self.until, None))
            day = day_of(waiting[0]["at_ms"])
            if day >= today:
                return
            count = sum(1 for operation in waiting if day_of(operation["at_ms"]) <= day)
            yield self._record(day, self.until + count, now_ms, {})

    def _record(self, day: str, until: int, at_ms: int, injections: Mapping[str, int]) -> Record:
        return {
            "kind": CLOSED,
            "number": self.closings + 1,
            "day": day,
            "until": until,
            "published_at_ms": at_ms,
            "injections": dict(injections),
        }

    def _moved(self, until: int) -> list[Record]:
        """Operations that moved money and are in no report yet."""
        fresh = islice(self.operations.values(), self.until, until)
        return [
            operation
            for operation in fresh
            if operation["outcome"] == Outcome.APPROVED
            and operation["operation"] in (Operation.CAPTURE, Operation.REFUND)
        ]

    def _close(self, closing: Record) -> None:
        moved = self._moved(closing["until"])
        late, self.held_back = self.held_back, []
        self.until, self.closings = closing["until"], closing["number"]
        lines = [line for operation in late for line in self._late_line(closing, operation)]
        chosen = iter(
            [name for name in LINE_INJECTIONS for _ in range(closing["injections"].get(name, 0))]
        )
        for operation in moved:
            lines += self._lines(closing, operation, next(chosen, ""))
        for currency in sorted({line.currency for line in lines}):
            own = tuple(line for line in lines if line.currency == currency)
            self._publish(closing, currency, own)

    def _late_line(self, closing: Record, operation: Record) -> Iterator[ReportLine]:
        line = self._line(closing, operation, operation["currency"])
        self._note(closing, "late", line)
        yield line

    def _lines(self, closing: Record, operation: Record, injection: str) -> Iterator[ReportLine]:
        """What the report says of one operation, injected difference included."""
        line = self._line(closing, operation, operation["currency"])
        if injection == "late":
            self.held_back.append(operation)
            return
        if injection == "currency":
            line = self._line(closing, operation, "USD" if line.currency != "USD" else "EUR")
        elif injection == "amount":
            line = _changed(line, gross_minor=line.gross_minor + DIFFERENCE_MINOR)
        if injection == "duplicate":
            yield _changed(line, line_id=f"{line.line_id}:again")
        if injection == "extra":
            yield self._stray(line, closing)
        elif injection:
            self._note(closing, injection, line)
        if injection != "missing":
            yield line

    def _line(self, closing: Record, operation: Record, currency: str) -> ReportLine:
        amount_minor, key = operation["amount_minor"], operation["idempotency_key"]
        captured = operation["operation"] == Operation.CAPTURE
        fee_minor = amount_minor * CAPTURE_FEE_BASIS_POINTS // 10_000
        return _changed(
            ReportLine(
                line_id=f"{self._report_id(closing, currency)}:{key}",
                line_kind=operation["operation"],
                operation_id=key,
                network_reference=operation["network_reference"],
                currency=currency,
                gross_minor=amount_minor if captured else -amount_minor,
                fee_minor=fee_minor if captured else REFUND_FEE_MINOR,
                net_minor=0,
                effective_at_ms=operation["at_ms"],
            )
        )

    def _stray(self, line: ReportLine, closing: Record) -> ReportLine:
        """A capture that nobody asked for."""
        payment = f"pay_stray{closing['number']}{line.operation_id.removeprefix('pay_')[:20]}"
        stray = _changed(
            line,
            line_id=f"{line.line_id}:stray",
            operation_id=f"{payment.partition(':')[0]}:capture:1",
            line_kind=Operation.CAPTURE,
            gross_minor=STRAY_GROSS_MINOR,
            fee_minor=0,
        )
        self._note(closing, "extra", stray)
        return stray

    def _note(self, closing: Record, injection: str, line: ReportLine) -> None:
        self.differences.append(
            Difference(
                level="operation",
                kind=_BREAKS.get(injection, injection),
                report_id=self._report_id(closing, line.currency),
                operation_id=line.operation_id,
            )
        )

    def _report_id(self, closing: Record, currency: str) -> str:
        return f"set_{self.network}_{closing['day']}_{currency}_{closing['number']}"

    def _publish(self, closing: Record, currency: str, lines: tuple[ReportLine, ...]) -> None:
        report = Report(
            report_id=self._report_id(closing, currency),
            network=self.network,
            day=closing["day"],
            currency=currency,
            value_day=str(date.fromisoformat(closing["day"]) + timedelta(days=1)),
            published_at_ms=closing["published_at_ms"],
            lines=len(lines),
            gross_minor=sum(line.gross_minor for line in lines),
            fee_minor=sum(line.fee_minor for line in lines),
            net_minor=sum(line.net_minor for line in lines),
        )
        self.reports[report.report_id] = (report, lines)
        self._transfer(report, Counter(closing["injections"]))

    def _transfer(self, report: Report, injections: Counter[str]) -> None:
        """Pay for the report; an injected difference concerns the closing's first report."""
        first = report.report_id == next(
            name
            for name, (known, _) in self.reports.items()
            if known.published_at_ms == report.published_at_ms
        )
        injection = next((name for name in REPORT_INJECTIONS if first and injections[name]), "")
        off_minor = DIFFERENCE_MINOR if injection == "deposit_amount" else 0
        copies = {"deposit_missing": 0, "deposit_duplicate": 2}.get(injection, 1)
        self.transfers += [
            Transfer(
                transfer_id=f"tr_{report.report_id}_{number}",
                report_id=report.report_id,
                currency=report.currency,
                amount_minor=report.net_minor - off_minor,
                value_day=report.value_day,
                at_ms=report.published_at_ms,
            )
            for number in range(1, copies + 1)
        ]
        if injection:
            kind = _BREAKS[injection]
            found = Difference(level="report", kind=kind, report_id=report.report_id)
            self.differences.append(found)


def _changed(line: ReportLine, **changes: Any) -> ReportLine:
    """The line with other fields, and the net that follows."""
    changed = msgspec.structs.replace(line, **changes)
    net_minor = changed.gross_minor - changed.fee_minor
    return msgspec.structs.replace(changed, net_minor=net_minor)


def day_of(at_ms: int) -> str:
    """The day (UTC) of a time, YYYY-MM-DD."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
