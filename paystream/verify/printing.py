"""The report for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from paystream.verify.result import RuleResult, VerifyReport


def print_report(report: VerifyReport, console: Console | None = None) -> None:
    """A row per rule, then the first offenders of each that does not hold."""
    console = console or Console()
    table = Table(title="paystream verify", title_justify="left")
    table.add_column("rule", no_wrap=True)
    table.add_column("invariant")
    table.add_column("checked", justify="right")
    table.add_column("result", no_wrap=True)
    table.add_column("seconds", justify="right")
    for rule in report.rules:
        seconds = f"{rule.duration_seconds:.1f}"
        table.add_row(rule.name, rule.invariant, f"{rule.checked:,}", _verdict(rule), seconds)
    console.print(table)
    for rule in report.rules:
        _print_details(rule, console)
    console.print(_last_line(report))


def _verdict(rule: RuleResult) -> str:
    if rule.violation_count:
        return f"[bold red]{rule.violation_count:,} violations[/]"
    if rule.skipped_reason is not None:
        return "[yellow]not checked[/]"
    return "[green]holds[/]"


def _print_details(rule: RuleResult, console: Console) -> None:
    def say(style: str, text: str) -> None:
        console.print(f"{rule.name}: {text}", style=style, markup=False, highlight=False)

    for violation in rule.violations:
        say("red", violation)
    if rule.violation_count > len(rule.violations):
        say("red", f"and {rule.violation_count - len(rule.violations):,} more")
    if rule.skipped_reason is not None:
        say("yellow", f"not checked: {rule.skipped_reason}")
    for note in rule.notes:
        say("dim", note)


def _last_line(report: VerifyReport) -> str:
    if report.violated:
        names = ", ".join(rule.name for rule in report.violated)
        return f"[bold red]violated: {names}[/]"
    if report.skipped:
        names = ", ".join(rule.name for rule in report.skipped)
        return f"[yellow]nothing violated, but not checked: {names}[/]"
    return f"[bold green]all {len(report.rules)} rules hold[/]"
