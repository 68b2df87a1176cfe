"""`paystream load`: a shop's traffic against a running stack."""

from collections.abc import Mapping
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from devstack.traffic.runner import TrafficSettings, run
from devstack.traffic.stats import Tally, TrafficResult
from paystream.cli.environment import environment, need
from paystream.cli.output import console, error_console, print_json


def load(
    *,
    payments: int = 1000,
    rate: float = 50.0,
    seed: int = 1,
    merchants: int = 5,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """Send a seeded mix of payments through the HTTP API at a fixed rate.

    Example: paystream load --payments 5000 --rate 200 --seed 7

    Args:
        payments: How many.
        rate: Payments per second, independent of the response times; 0 sends as fast as possible.
        seed: The same seed sends the same mix.
        merchants: How many shops; the first takes about 40 percent.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    need(env, "API_URL", "PAYSTREAM_STATE_DIR")
    settings = TrafficSettings(payments=payments, rate=rate, seed=seed, merchants=merchants)
    result = send(env, settings)
    if json:
        print_json(result.as_dict())
    else:
        print_result(result)
    return 0 if result.problem_count == 0 and result.gave_up == 0 else 1


def send(env: Mapping[str, str], settings: TrafficSettings) -> TrafficResult:
    """Run the traffic with a progress bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=error_console, transient=True) as bar:
        task = bar.add_task("payments", total=settings.payments)

        def show(tally: Tally) -> None:
            bar.update(task, completed=tally.finished, description=f"payments ({tally.sent} sent)")

        return run(env, settings, show)


def print_result(result: TrafficResult) -> None:
    """The same facts for people."""
    console.print(
        f"{result.payments} payments in {result.seconds:.1f} s:"
        f" {result.accepted} commands accepted,"
        f" {result.repeats_absorbed} of {result.repeats_sent} repeats absorbed,"
        f" {result.steps} follow-up steps, create p50 {result.latency_p50_ms:.0f} ms"
        f" p99 {result.latency_p99_ms:.0f} ms",
        highlight=False,
    )
    for problem in result.problems:
        console.print(f"problem: {problem}", style="red", markup=False, highlight=False)
