"""`paystream up`: the whole stack in the foreground."""

from pathlib import Path

from paystream.cli.environment import DEFAULT_STATE_DIR
from paystream.cli.output import warn


def up(
    *,
    state_dir: Path = DEFAULT_STATE_DIR,
    env_file: Path | None = None,
    brokers: int = 1,
    workers: int = 1,
    fallback_network: bool = False,
) -> int:
    """Start broker, Valkey, ClickHouse, simulators, workers, API and console; Ctrl-C stops all.

    What `paystream doctor` finds wrong is said first; the start is tried nevertheless.

    Example: paystream up --env-file stack.env --brokers 3 --workers 2

    Args:
        state_dir: Where everything is kept; the same directory goes on where it was.
        env_file: Written when everything is ready: the addresses of the parts.
        brokers: 1, or 3 with replication 3 and min.insync.replicas 2.
        workers: Copies of the payments worker.
        fallback_network: Another card network, as fallback for what the first surely did not take.
    """
    from devstack.doctor import run as doctor_checks
    from devstack.supervisor import UpOptions, run_up

    for check in doctor_checks(state_dir):
        if not check.ok:
            warn(f"{check.name}: {check.finding}")
    options = UpOptions(state_dir, env_file, brokers, workers, fallback_network=fallback_network)
    return run_up(options)
