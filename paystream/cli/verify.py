"""`paystream verify`: checks the invariants."""

from pathlib import Path

import msgspec

from paystream.cli.environment import environment, need
from paystream.cli.output import console, error_console, print_json


def verify(
    *,
    chain: bool = False,
    public_key: Path | None = None,
    json: bool = False,
    counterparty: bool = False,
    allow_skipped: bool = False,
    env_file: Path | None = None,
) -> int:
    """Check every invariant against Kafka, ClickHouse and Valkey; exit code 1 on a violation.

    It reads whole topics into memory: about 1 GB for 100,000 payments. Rules of the tier
    `counterparty` (charged_once, paid_once) are checked on request only.

    Example: paystream verify --json

    Args:
        chain: Check the ledger against its signed hash chain instead: needs SELECT and a public
            key.
        public_key: With --chain: the key to trust, a PEM file or a directory of them.
        json: Print JSON.
        counterparty: Check the rules of the tier `counterparty` too: they need the card network's
            and the bank's own logs, which the simulators have.
        allow_skipped: Also succeed when the sources of a rule cannot be read.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.verify.chain import PUBLIC_KEY_VARIABLE
    from paystream.verify.printing import print_report
    from paystream.verify.run import CHAIN_RULES, RULES, Tier, rules_of, run_verify

    env = environment(env_file)
    parts = () if chain else ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
    need(env, "CLICKHOUSE_URL", *parts)
    if public_key is not None:
        env = {**env, PUBLIC_KEY_VARIABLE: str(public_key)}
    default = RULES if counterparty else rules_of(Tier.LOG, Tier.STORES)
    rules = CHAIN_RULES if chain else default
    with error_console.status("verifying") as status:
        report = run_verify(env, status.update, allow_skipped=allow_skipped, rules=rules)
    if json:
        print_json(msgspec.to_builtins(report))
    else:
        print_report(report, console)
        if not counterparty and not chain:
            console.print("Not requested: charged_once, paid_once. Check them with --counterparty.")
    return 0 if report.ok else 1
