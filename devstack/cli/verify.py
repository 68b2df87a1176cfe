"""`paystream verify`: does everything that must hold, hold?"""

from pathlib import Path

import msgspec

from devstack.cli.environment import environment, need
from devstack.cli.output import console, error_console, print_json


def verify(*, json: bool = False, allow_skipped: bool = False, env_file: Path | None = None) -> int:
    """Check every invariant against Kafka, ClickHouse, Valkey and the outside's logs; 1 on failure.

    Example: paystream verify --json

    Parameters
    ----------
    json: Print JSON.
    allow_skipped: Also succeed when evidence for a rule was not to be had.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    from devstack.verify.printing import print_report
    from devstack.verify.run import run_verify

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "REDIS_URL")
    with error_console.status("verifying") as status:
        report = run_verify(env, status.update, allow_skipped=allow_skipped)
    if json:
        print_json(msgspec.to_builtins(report))
    else:
        print_report(report, console)
    return 0 if report.ok else 1
