"""`paystream close-day`: the simulated network reports what it did, and it is reconciled."""

from collections.abc import Mapping
from pathlib import Path

from devstack.cli.environment import environment, need
from devstack.cli.output import ClearError, console, print_json

_DAY_MS = 86_400_000


def close_day(
    *,
    plant: str = "",
    days_ahead: int = 0,
    timeout_seconds: float = 120.0,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """Have the simulated card network close its day now, and wait until it is reconciled.

    Example: paystream close-day --plant amount=1,missing=2

    Parameters
    ----------
    plant: Differences to plant, as kind=count; an unknown kind is answered with all that can be.
    days_ahead: Publish as if it were so many days later: what was held back is late then.
    timeout_seconds: How long to wait.
    json: Print JSON.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    from devstack import closing_day
    from runtime.clock import now_ms

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS", "NETWORK_URL")
    at_ms = now_ms() + days_ahead * _DAY_MS if days_ahead else None
    try:
        reports = closing_day.close_day(env["NETWORK_URL"], _planted(plant), at_ms)
        posted = closing_day.wait_reconciled(env, reports, timeout_seconds)
    except closing_day.DayNotClosed as error:
        raise ClearError(str(error)) from error
    if json:
        print_json({"reports": reports, "lines_posted": posted})
    else:
        lines = sum(report["lines"] for report in reports)
        console.print(f"{len(reports)} reports with {lines} lines; {posted} lines posted")
    return 0


def _planted(text: str) -> Mapping[str, int]:
    found = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if not count.isdigit():
            raise ClearError(f"--plant {part}: write kind=count, as in amount=1,missing=2.")
        found[name.strip()] = int(count)
    return found
