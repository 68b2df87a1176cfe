"""`paystream settle-day`: the simulated network reports what it did, and it is reconciled."""

from collections.abc import Mapping
from pathlib import Path

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json

_DAY_MS = 86_400_000


def settle_day(
    *,
    inject: str = "",
    days_ahead: int = 0,
    timeout_seconds: float = 120.0,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """Have the simulated card network close its day now, and wait until it is reconciled.

    Example: paystream settle-day --inject amount=1,missing=2

    Args:
        inject: Differences to inject, as kind=count; an unknown kind is answered with all that
            can be.
        days_ahead: Publish as if it were so many days later: what was held back is late then.
        timeout_seconds: How long to wait.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from devstack import settlement_day
    from runtime.clock import now_ms

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS", "NETWORK_URL")
    at_ms = now_ms() + days_ahead * _DAY_MS if days_ahead else None
    try:
        reports = settlement_day.close_day(env["NETWORK_URL"], _injected(inject), at_ms)
        posted = settlement_day.wait_reconciled(env, reports, timeout_seconds)
    except settlement_day.DayNotSettled as error:
        raise CliError(str(error)) from error
    if json:
        print_json({"reports": reports, "lines_posted": posted})
    else:
        lines = sum(report["lines"] for report in reports)
        console.print(f"{len(reports)} reports with {lines} lines; {posted} lines posted")
    return 0


def _injected(text: str) -> Mapping[str, int]:
    found = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if not count.isdigit():
            raise CliError(
                f"--inject {part} is not valid. Write kind=count, as in amount=1,missing=2."
            )
        found[name.strip()] = int(count)
    return found
