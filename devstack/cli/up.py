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
    secure: bool = False,
) -> int:
    """Start broker, Valkey, ClickHouse, simulators, workers, API and console; Ctrl-C stops all.

    Problems that `paystream doctor` finds are shown first; the stack is started all the same.

    Example: paystream up --env-file stack.env --brokers 3 --workers 2

    Args:
        state_dir: Directory of all data and logs; the same directory continues with the same data.
        env_file: File that gets the addresses of all parts when everything is ready.
        brokers: 1, or 3 with replication 3 and min.insync.replicas 2.
        workers: Copies of the payments worker.
        secure: TLS, a user for each process and an access list on Kafka; TLS and passwords on
            Valkey, ClickHouse and the API.
        fallback_network: Second card network for what was certainly not sent to the first.
    """
    from devstack.doctor import run as doctor_checks
    from devstack.supervisor import UpOptions, run_up

    for check in doctor_checks(state_dir):
        if not check.ok:
            warn(f"{check.name}: {check.finding}")
    options = UpOptions(
        state_dir, env_file, brokers, workers, fallback_network=fallback_network, secure=secure
    )
    return run_up(options)
