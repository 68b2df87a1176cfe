"""A small world of payments, reports and deposits with injected differences, and its folding."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas.records import (
    BankLine,
    PaymentCommand,
    PaymentEvent,
    ReconciliationEvent,
    ReconciliationRequest,
    SettlementLine,
)
from sinks.audit.ledger import transaction_for
from sinks.reconciliation.matching.intake import requests_of_line, requests_of_statement_line
from sinks.reconciliation.matching.outcome import Outcome, is_about_report, overdue_check_request
from sinks.reconciliation.matching.payments import PaymentAggregate
from sinks.reconciliation.matching.reports import ReportAggregate
from sinks.reconciliation.matching.rules import MatchingPolicy, next_check_at_ms
from sinks.reconciliation.matching.state import PaymentMatch, ReportMatch, decode, encode

DAY_MS = 86_400_000
NOON_MS = 1_790_000_000_000
POLICY = MatchingPolicy(page_lines=2)
FAR_MS = NOON_MS + 30 * DAY_MS
LINE_INJECTIONS = ("none", "missing", "extra", "amount", "currency", "duplicate", "late")
DEPOSIT_PLANTS = ("none", "missing", "amount", "currency", "duplicate", "late")


@dataclass
class World:
    """Facts of three sources, each in the order of its source."""

    events: list[list[PaymentEvent]] = field(default_factory=list)
    lines: list[SettlementLine] = field(default_factory=list)
    bookings: list[BankLine] = field(default_factory=list)
    injections: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(level, kind of break) -> how many were injected."""


def payment_event(payment_id: str, sequence: int, **changes: Any) -> PaymentEvent:
    """A captured event of 10.00 EUR by default."""
    fields: dict[str, Any] = {
        "event_id": f"{payment_id}-{sequence}",
        "payment_id": payment_id,
        "merchant_id": "mer_1",
        "mode": "live",
        "sequence": sequence,
        "type": "payment.captured",
        "status": "captured",
        "command_id": "cmd",
        "command_kind": "network_result",
        "fingerprint": "f",
        "occurred_at_ms": NOON_MS + sequence,
        "source": "network",
        "currency": "EUR",
        "amount_minor": 1000,
        "fee_minor": 0,
        "requested_minor": 1000,
        "authorized_minor": 1000,
        "captured_minor": 1000,
        "refunded_minor": 0,
        "fees_minor": 0,
        "capture_method": "automatic",
        "fee_basis_points": 0,
        "fee_fixed_minor": 0,
        "operation": "capture",
        "operation_id": f"{payment_id}:capture:1",
    }
    return PaymentEvent(**(fields | changes))


def settlement_line(line_id: str, operation_id: str, **changes: Any) -> SettlementLine:
    """A line that pays a capture of 10.00 EUR less 12 cents; its report's sums come later."""
    fields: dict[str, Any] = {
        "line_id": line_id,
        "report_id": "set_1",
        "network": "primary",
        "report_day": "2026-09-21",
        "line_kind": "capture",
        "operation_id": operation_id,
        "network_reference": "net_1",
        "currency": "EUR",
        "gross_minor": 1000,
        "fee_minor": 12,
        "net_minor": 0,
        "value_day": "2026-09-22",
        "effective_at_ms": NOON_MS,
        "published_at_ms": NOON_MS + DAY_MS,
        "report_lines": 0,
        "report_net_minor": 0,
    }
    return SettlementLine(**(fields | changes))


def booking(line_id: str, reference: str, amount_minor: int, **changes: Any) -> BankLine:
    """A deposit in EUR on the day after the report."""
    fields: dict[str, Any] = {
        "line_id": line_id,
        "statement_day": "2026-09-22",
        "line_kind": "deposit",
        "reference": reference,
        "currency": "EUR",
        "amount_minor": amount_minor,
        "value_day": "2026-09-22",
        "booked_at_ms": NOON_MS + DAY_MS + DAY_MS // 2,
    }
    return BankLine(**(fields | changes))


def summed(lines: Iterable[SettlementLine]) -> list[SettlementLine]:
    """The lines with what their reports sum to."""
    known = [msgspec.structs.replace(x, net_minor=x.gross_minor - x.fee_minor) for x in lines]
    counts = Counter(line.report_id for line in known)
    sums: Counter[str] = Counter()
    for line in known:
        sums[line.report_id] += line.net_minor
    return [
        msgspec.structs.replace(
            x, report_lines=counts[x.report_id], report_net_minor=sums[x.report_id]
        )
        for x in known
    ]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Payments with a capture and sometimes a refund, one report or two, injected differences."""
    world = World()
    for number in range(draw(st.integers(1, 5))):
        _payment(world, draw, f"pay_{number}")
    world.lines = summed(world.lines)
    for report_id in sorted({line.report_id for line in world.lines}):
        _deposit(world, draw, report_id)
    return world


def _payment(world: World, draw: st.DrawFn, payment_id: str) -> None:
    amount_minor = draw(st.integers(500, 5000))
    operation_id = f"{payment_id}:capture:1"
    amounts = {"amount_minor": amount_minor, "captured_minor": amount_minor}
    story = [payment_event(payment_id, 1, **amounts)]
    _line(world, draw, f"{payment_id}-c", operation_id, amount_minor)
    if draw(st.booleans()):
        refund = f"{payment_id}:refund:1"
        given_minor = draw(st.integers(1, amount_minor))
        changes = {"type": "refund.succeeded", "operation": "refund", "operation_id": refund}
        story.append(
            payment_event(payment_id, 2, **(amounts | changes | {"amount_minor": given_minor}))
        )
        _line(world, draw, f"{payment_id}-r", refund, -given_minor, line_kind="refund")
    world.events.append(story)


def _line(
    world: World, draw: st.DrawFn, line_id: str, operation_id: str, gross_minor: int, **more: Any
) -> None:
    inject = draw(st.sampled_from(LINE_INJECTIONS))
    made = settlement_line(line_id, operation_id, gross_minor=gross_minor, **more)
    made = msgspec.structs.replace(made, fee_minor=draw(st.integers(0, 40)))
    if inject == "amount":
        made = msgspec.structs.replace(made, gross_minor=gross_minor + draw(st.integers(1, 99)))
    elif inject == "currency":
        made = msgspec.structs.replace(made, currency="USD", report_id="set_usd")
    elif inject == "late":
        late_ms = NOON_MS + 5 * DAY_MS
        made = msgspec.structs.replace(made, published_at_ms=late_ms, report_id="set_late")
    if inject == "extra":
        stray = f"pay_stray{line_id}:capture:1"
        world.lines.append(settlement_line(f"{line_id}-x", stray, gross_minor=777))
    if inject == "duplicate":
        world.lines.append(msgspec.structs.replace(made, line_id=f"{line_id}-d"))
    if inject != "missing":
        world.lines.append(made)
    kinds = {"missing": "missing_in_report", "extra": "missing_in_ledger"}
    if inject != "none":
        world.injections["operation", kinds.get(inject, inject)] += 1


def _deposit(world: World, draw: st.DrawFn, report_id: str) -> None:
    inject = draw(st.sampled_from(DEPOSIT_PLANTS))
    lines = [line for line in world.lines if line.report_id == report_id]
    made = booking(f"dep_{report_id}", report_id, lines[0].report_net_minor)
    made = msgspec.structs.replace(
        made, currency=lines[0].currency, booked_at_ms=lines[0].published_at_ms + DAY_MS
    )
    if inject == "amount":
        made = msgspec.structs.replace(made, amount_minor=made.amount_minor - 5)
    elif inject == "currency":
        made = msgspec.structs.replace(made, currency="CHF")
    elif inject == "late":
        made = msgspec.structs.replace(made, booked_at_ms=made.booked_at_ms + 4 * DAY_MS)
    if inject == "duplicate":
        world.bookings.append(msgspec.structs.replace(made, line_id=f"{made.line_id}-d"))
    if inject != "missing":
        world.bookings.append(made)
    if inject != "none":
        world.injections["report", "missing_in_report" if inject == "missing" else inject] += 1


class Model:
    """One table for everything (a dict of encoded entries), requests in the order they were made.

    Requests of one subject keep their order, as in a partition.
    """

    def __init__(self, policy: MatchingPolicy = POLICY) -> None:
        self.policy = policy
        self.table: dict[str, Any] = {}
        self.waiting: deque[ReconciliationRequest] = deque()
        self.events: list[ReconciliationEvent] = []
        self.commands: list[PaymentCommand] = []

    def take(self, fact: PaymentEvent | SettlementLine | BankLine) -> None:
        """One record of a source topic."""
        if isinstance(fact, PaymentEvent):
            self._keep(PaymentAggregate(self.table, self.policy).payment(fact))
        elif isinstance(fact, SettlementLine):
            self.waiting += requests_of_line(self.table, fact)
        else:
            self.waiting += requests_of_statement_line(self.table, fact)

    def step(self) -> None:
        """The oldest request, if there is one."""
        if self.waiting:
            self.ask(self.waiting.popleft())

    def drain(self) -> None:
        """All requests, and those that come of them."""
        while self.waiting:
            self.step()

    def ask(self, request: ReconciliationRequest) -> None:
        """Handle one request as the agent does."""
        report = is_about_report(request)
        fold: Any = (ReportAggregate if report else PaymentAggregate)(self.table, self.policy)
        self._keep(fold.request(request))

    def look(self, at_ms: int) -> None:
        """Everything that is due by then."""
        for entry in list(self.table.values()):
            due_ms = next_check_at_ms(entry, self.policy)
            if due_ms is not None and due_ms <= at_ms:
                subject = entry.report_id if isinstance(entry, ReportMatch) else entry.subject_id
                self.ask(
                    overdue_check_request(subject, at_ms, of_report=isinstance(entry, ReportMatch))
                )
        self.drain()

    def _keep(self, outcome: Outcome) -> None:
        self.events += outcome.events
        self.commands += outcome.commands
        self.waiting += outcome.requests
        for key, entry in self.table.items():
            self.table[key] = decode(encode(entry))

    # -- what is compared

    def breaks(self) -> dict[str, tuple[str, str, str]]:
        """Break id -> (level, kind, state) of every break that is not closed."""
        found = {}
        for entry in self.table.values():
            if isinstance(entry, PaymentMatch):
                for operation in entry.operations:
                    for b in operation.breaks:
                        found[b.break_id] = ("operation", str(b.kind), str(b.state))
            elif isinstance(entry, ReportMatch):
                for b in entry.breaks:
                    found[b.break_id] = ("report", str(b.kind), str(b.state))
        return {name: b for name, b in found.items() if b[2] in ("open", "acknowledged")}

    def scopes_of_breaks(self) -> Counter[tuple[str, str, str]]:
        """(operation or report, kind, state) of every break that is not closed.

        Of two deposits that are the same, the one that was read first stands for the report.
        """
        scopes = {e.break_id: e.operation_id or e.report_id or "" for e in self.events}
        return Counter((scopes[name], kind, to) for name, (_, kind, to) in self.breaks().items())

    def balances(self) -> Counter[tuple[str, str]]:
        """(account, currency) -> balance after all postings; each is balanced by itself."""
        sums: Counter[tuple[str, str]] = Counter()
        for event in self.events:
            transaction = transaction_for(event)
            for entry in transaction.entries if transaction else ():
                sums[entry.account, entry.currency] += entry.amount_minor
        return Counter({key: total for key, total in sums.items() if total})

    def settled(self) -> set[str]:
        """Payments that have a settle command."""
        return {command.payment_id for command in self.commands}


def told_in_order(world: World, **options: Any) -> Model:
    """The world in the natural order, looked at in the end."""
    model = Model(**options)
    facts: list[Any] = [event for story in world.events for event in story]
    for fact in [*facts, *world.lines, *world.bookings]:
        model.take(fact)
        model.drain()
    model.look(FAR_MS)
    return model
