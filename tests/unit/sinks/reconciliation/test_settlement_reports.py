"""Reports of the network: both forms say the same; what does not add up is refused whole."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from devstack.simulators.settlement_book import LINE_INJECTIONS, Record, SettlementBook, day_of
from devstack.simulators.settlement_pages import csv_text
from sinks.reconciliation.reports import (
    LINE_FIELDS,
    ReportRejected,
    read_csv,
    read_json,
    read_list,
    read_statement,
)

DAY_MS = 86_400_000
NOON_MS = 1_790_000_000_000


def operation(key: str, at_ms: int = NOON_MS, **changes: object) -> Record:
    """An approved capture of 10.00 EUR."""
    fields = {
        "idempotency_key": key,
        "operation": "capture",
        "outcome": "approved",
        "amount_minor": 1000,
        "currency": "EUR",
        "network_reference": "net_1",
        "at_ms": at_ms,
    }
    return fields | changes


def book_of(*operations: Record) -> SettlementBook:
    return SettlementBook("network", {each["idempotency_key"]: each for each in operations})


def closed(*operations: Record, **injections: int) -> SettlementBook:
    book = book_of(*operations)
    book.apply(book.closing(NOON_MS + DAY_MS, injections))
    return book


SHOP = (
    operation("pay_1:capture:1"),
    operation("pay_1:refund:1", operation="refund", amount_minor=400),
    operation("pay_2:capture:1", currency="JPY"),
    operation("pay_3:capture:1", outcome="declined"),
    operation("pay_4:authorize:1", operation="authorize"),
)


def test_csv_and_json_give_the_same_lines() -> None:
    book = closed(*SHOP)
    assert [report.currency for report, _ in book.reports.values()] == ["EUR", "JPY"]
    for report, lines in book.reports.values():
        by_csv = read_csv(csv_text(report, lines).encode())
        assert by_csv == read_json(msgspec.json.encode({"report": report, "lines": lines}))
        assert sum(line.net_minor for line in by_csv) == report.net_minor
        assert {line.report_lines for line in by_csv} == {len(by_csv)}
    [capture, refund], _ = (read_csv(csv_text(*r).encode()) for r in book.reports.values())
    assert (capture.gross_minor, capture.fee_minor) == (1000, 12)
    assert (refund.gross_minor, refund.fee_minor, refund.net_minor) == (-400, 5, -405)


def without_last_row(text: str) -> str:
    return "\r\n".join(text.split("\r\n")[:-2])


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (without_last_row, "cut off"),
        (lambda text: text.replace("T,2,", "T,3,"), "has 2 lines, its head says 3"),
        (lambda text: text.replace(",1000,12,988,", ",1001,12,988,"), "sum to"),
        (lambda text: text.replace(",1000,12,988,", ",1000,12,x,"), "cannot be read"),
        (lambda text: text.replace("refund:1,net_1,EUR", "refund:1,net_1,USD"), "currency"),
        (lambda text: "", "no report"),
    ],
)
def test_a_report_that_does_not_add_up_is_refused(broken: Callable[[str], str], why: str) -> None:
    [(report, lines)] = closed(*SHOP[:2]).reports.values()
    with pytest.raises(ReportRejected, match=why):
        read_csv(broken(csv_text(report, lines)).encode())


def test_what_is_no_json_is_refused() -> None:
    for read in (read_json, read_list, read_statement):
        with pytest.raises(ReportRejected, match="cannot be read"):
            read(b"<html>")


def test_fields_of_a_line_are_those_that_the_network_writes() -> None:
    [(_, lines)] = closed(SHOP[0]).reports.values()
    assert tuple(lines[0].__struct_fields__) == LINE_FIELDS


def test_each_planted_difference_is_noted_and_the_journal_gives_the_same_reports_again() -> None:
    operations = [operation(f"pay_{number}:capture:1") for number in range(8)]
    book = book_of(*operations)
    records = [book.closing(NOON_MS, dict.fromkeys(LINE_INJECTIONS, 1) | {"deposit_missing": 1})]
    book.apply(records[0])
    records.append(book.closing(NOON_MS + 5 * DAY_MS, {}))
    book.apply(records[1])
    kinds = {(difference.level, difference.kind) for difference in book.differences}
    of_lines = {"missing_in_report", "missing_in_ledger", "amount", "currency", "duplicate", "late"}
    assert kinds == {("operation", kind) for kind in of_lines} | {("report", "missing_in_report")}
    again = book_of(*operations)
    for record in records:
        again.apply(msgspec.json.decode(msgspec.json.encode(record)))
    assert again.reports == book.reports
    assert (again.transfers, again.differences) == (book.transfers, book.differences)


def test_an_operation_is_in_one_report_and_days_that_are_over_close_by_themselves() -> None:
    book = book_of(*(operation(f"pay_{n}:capture:1", NOON_MS + n * DAY_MS) for n in range(3)))
    for record in book.due_closings(NOON_MS + 2 * DAY_MS):
        book.apply(record)
    days = [report.day for report, _ in book.reports.values()]
    assert days == [day_of(NOON_MS), day_of(NOON_MS + DAY_MS)]
    assert list(book.due_closings(NOON_MS + 2 * DAY_MS)) == []
    book.apply(book.closing(NOON_MS + 2 * DAY_MS, {}))
    operations = [line.operation_id for _, lines in book.reports.values() for line in lines]
    assert sorted(operations) == [f"pay_{n}:capture:1" for n in range(3)]


@pytest.mark.parametrize(
    ("injections", "why"), [({"amount": 3}, "need as many"), ({"x": 1}, "can")]
)
def test_what_cannot_be_planted_is_refused(injections: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        book_of(*SHOP[:2]).closing(NOON_MS, injections)
