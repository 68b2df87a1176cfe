"""`paystream verify`: does everything that must hold, hold?"""

from pathlib import Path

import msgspec

from paystream.cli.environment import environment, need
from paystream.cli.output import console, error_console, print_json


def verify(
    *,
    chain: bool = False,
    public_key: Path | None = None,
    json: bool = False,
    allow_skipped: bool = False,
    env_file: Path | None = None,
) -> int:
    """Check every invariant against Kafka, ClickHouse, Valkey and the outside's logs; 1 on failure.

    Example: paystream verify --json

    Args:
        chain: Check the ledger against its signed hash chain instead: needs SELECT and a public
            key.
        public_key: With --chain: the key to trust, a PEM file or a directory of them.
        json: Print JSON.
        allow_skipped: Also succeed when evidence for a rule was not to be had.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.verify.chain import PUBLIC_KEY_VARIABLE
    from paystream.verify.printing import print_report
    from paystream.verify.run import CHAIN_RULES, RULES, run_verify

    env = environment(env_file)
    parts = () if chain else ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
    need(env, "CLICKHOUSE_URL", *parts)
    if public_key is not None:
        env = {**env, PUBLIC_KEY_VARIABLE: str(public_key)}
    rules = CHAIN_RULES if chain else RULES
    with error_console.status("verifying") as status:
        report = run_verify(env, status.update, allow_skipped=allow_skipped, rules=rules)
    if json:
        print_json(msgspec.to_builtins(report))
    else:
        print_report(report, console)
    return 0 if report.ok else 1
