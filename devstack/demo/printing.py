"""How the report of `paystream demo` looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.money import exponent

Report = dict[str, Any]
_SIDES = ("debits", "credits", "balance")
_NUMERIC = {
    *_SIDES,
    "payments",
    "payouts",
    "amount",
    "charged at the network",
    "captured in the ledger",
}


def print_demo_report(report: Report, console: Console) -> None:
    """The report for people."""
    sections = (
        ("payments_by_status", _print_statuses),
        ("trial_balance", _print_trial_balance),
        ("charges", _print_charges),
        ("webhooks", _print_webhooks),
        ("payouts", _print_payouts),
        ("repeats", _print_repeats),
        ("status_reads", _print_status_reads),
        ("look_next", _print_look_next),
    )
    for name, show in sections:
        if sentence := report[name].get("unavailable"):
            console.print(f"{name}: {sentence}", style="red", markup=False, highlight=False)
        else:
            show(report[name], console)


def _print_statuses(facts: Report, console: Console) -> None:
    _print_table(console, "Payments by status", ("status", "payments"), facts.items())


def _print_trial_balance(facts: Report, console: Console) -> None:
    rows = [
        (
            row["currency"],
            row["account"],
            row["state"],
            *(amount_text(row[f"{side}_minor"], row["currency"]) for side in _SIDES),
        )
        for row in facts["accounts"]
    ]
    rows += [
        (currency, "sum", "", "", "", amount_text(total, currency))
        for currency, total in facts["sum_by_currency_minor"].items()
    ]
    _print_table(console, "Trial balance", ("currency", "account", "state", *_SIDES), rows)


def _print_charges(facts: Report, console: Console) -> None:
    currencies = sorted({*facts["charged_minor"], *facts["captured_minor"]})
    rows = [
        (
            currency,
            amount_text(facts["charged_minor"].get(currency, 0), currency),
            amount_text(facts["captured_minor"].get(currency, 0), currency),
        )
        for currency in currencies
    ]
    rows.append(("count", str(facts["network_charges"]), str(facts["ledger_captures"])))
    names = ("currency", "charged at the network", "captured in the ledger")
    _print_table(console, "Charges", names, rows)
    if facts["agree"]:
        console.print("[green]network and ledger agree[/]")
    else:
        console.print("[red]network and ledger differ[/]: see `paystream verify`")


def _print_webhooks(facts: Report, console: Console) -> None:
    verified = facts["signatures"].get("true", 0)
    console.print(
        f"Webhooks: {facts['delivered']} of {facts['tried']} delivered in {facts['attempts']}"
        f" attempts, the rest is tried again; {verified} signatures verified by the receiver",
        highlight=False,
    )


def _print_payouts(facts: Report, console: Console) -> None:
    rows = [
        (
            row["mode"],
            row["currency"],
            row["status"],
            str(row["count"]),
            amount_text(row["amount_minor"], row["currency"]),
        )
        for row in facts["made"]
    ]
    rows += [
        (row["mode"], row["currency"], "due", "", amount_text(row["amount_minor"], row["currency"]))
        for row in facts["due"]
    ]
    _print_table(console, "Payouts", ("mode", "currency", "status", "payouts", "amount"), rows)


def _print_repeats(facts: Report, console: Console) -> None:
    console.print(
        f"Repeats: {facts['absorbed_by_api']} of {facts['sent_by_clients']} absorbed by the API,"
        f" {facts['absorbed_by_network']} at the network; {facts['other_bodies_refused']} requests"
        f" with a used key and another body refused",
        highlight=False,
    )


def _print_status_reads(facts: Report, console: Console) -> None:
    console.print(f"Valkey answers reads of {facts['payments']} payments", highlight=False)


def _print_look_next(facts: Report, console: Console) -> None:
    console.print("Look next:")
    for name, where in facts.items():
        console.print(f"  {name:8} {where}", markup=False, highlight=False, soft_wrap=True)


def _print_table(
    console: Console, title: str, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    table = Table(title=title, title_justify="left")
    for name in names:
        numeric = name in _NUMERIC
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def amount_text(minor: int, currency: str) -> str:
    """Minor units as people write them: `amount_text(1999, "EUR")` is 19.99."""
    return f"{Decimal(minor).scaleb(-exponent(currency)):,f}"
