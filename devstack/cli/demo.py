"""`paystream demo`: the stack, a shop's traffic, and what became of it."""

import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from devstack.cli.load import print_result, send
from devstack.services.child import Child, ChildFailedError, Launch
from devstack.traffic.drain import NotSettledError, UnderWay, wait_until_drained
from devstack.traffic.runner import TrafficSettings
from paystream.cli.environment import DEFAULT_STATE_DIR, read_env_file
from paystream.cli.output import CliError, console, error_console, print_json
from paystream.verify.printing import print_report
from paystream.verify.run import run_verify

_START_SECONDS_MAX = 300.0
_DRAIN_SECONDS_MAX = 300.0
_STOP_SECONDS_MAX = 20.0


def demo(
    *,
    payments: int = 300,
    rate: float = 50.0,
    seed: int = 1,
    brokers: int = 1,
    workers: int = 1,
    exit: bool = False,
    json: bool = False,
    state_dir: Path = DEFAULT_STATE_DIR,
) -> int:
    """Bring the stack up, send a shop's traffic, show the result, verify it, and stay up.

    Example: paystream demo --payments 2000 --exit

    Args:
        payments: How many customers come.
        rate: Payments per second.
        seed: The same seed sends the same mix.
        brokers: 1, or 3 with replication 3.
        workers: Copies of the payments worker.
        exit: Leave when all is settled; exit code 0 only if `paystream verify` holds.
        json: Print JSON (with --exit).
        state_dir: Where the stack keeps everything.
    """
    with tempfile.TemporaryDirectory(prefix="paystream-demo-") as scratch:
        env_file = Path(scratch) / "stack.env"
        stack = _start(state_dir, env_file, brokers, workers)
        try:
            env = read_env_file(env_file)
            settings = TrafficSettings(payments=payments, rate=rate, seed=seed, closes_payouts=True)
            holds = _show(env, settings, json)
            if not exit:
                _stay(stack)
        finally:
            with error_console.status("stopping the stack"):
                stack.stop(_STOP_SECONDS_MAX)
    return 0 if holds else 1


def _start(state_dir: Path, env_file: Path, brokers: int, workers: int) -> Child:
    arguments = ("up", "--state-dir", str(state_dir), "--env-file", str(env_file))
    copies = ("--brokers", str(brokers), "--workers", str(workers))
    launch = Launch(
        name="the stack",
        command=(sys.executable, "-m", "paystream.cli", *arguments, *copies),
        log_path=env_file.with_name("up.log"),
        ready=env_file.exists,
        ready_timeout_seconds=_START_SECONDS_MAX,
    )
    with error_console.status("starting broker, stores, simulators, workers, API, console"):
        stack = Child(launch)
        try:
            stack.wait_ready()
        except ChildFailedError as error:
            stack.stop(_STOP_SECONDS_MAX)
            raise CliError(str(error)) from error
        except KeyboardInterrupt:
            stack.stop(_STOP_SECONDS_MAX)
            raise
    return stack


def _show(env: Mapping[str, str], settings: TrafficSettings, json: bool) -> bool:
    """Traffic, draining, report, verification; whether every rule holds."""
    from devstack.demo.report import demo_report, print_demo_report

    result = send(env, settings)
    with error_console.status("waiting until the traffic has drained") as status:

        def on_check(found: UnderWay) -> None:
            status.update(f"draining: {found.sentence()}")

        try:
            wait_until_drained(env, _DRAIN_SECONDS_MAX, on_check)
        except NotSettledError as error:
            error_console.print(str(error), style="red", markup=False, highlight=False)
        report = demo_report(env, result)
        verified = run_verify(env, status.update)
    if json:
        print_json(
            {
                "traffic": result.as_dict(),
                "report": report,
                "verify": msgspec.to_builtins(verified),
            }
        )
    else:
        print_result(result)
        print_demo_report(report, console)
        print_report(verified, console)
    return verified.ok and result.problem_count == 0


def _stay(stack: Child) -> None:
    """Until Ctrl-C or SIGTERM, or until the stack itself ends."""
    console.print("the stack stays up: Ctrl-C ends it")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        while stack.exit_code() is None:
            time.sleep(0.2)
    except KeyboardInterrupt:
        return
    raise CliError("The stack stopped unexpectedly. See its logs in the state directory.")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
