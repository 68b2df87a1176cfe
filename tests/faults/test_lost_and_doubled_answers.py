"""The demo mix while the card network loses some answers and says others twice.

PAYSTREAM_TEST_PAYMENTS=20000 makes it as long as the release wants it; PAYSTREAM_TEST_RATE is
payments per second.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import httpx2
import msgspec
import pytest

from devstack.services import kafka_jars
from devstack.services.child import Child, Launch
from devstack.traffic.drain import wait_until_drained
from devstack.traffic.runner import TrafficSettings, run
from paystream.cli.environment import read_env_file
from paystream.verify.run import run_verify
from runtime.clickhouse import connect
from runtime.store_connections import ClickHouseConnection

PAYMENTS = int(os.environ.get("PAYSTREAM_TEST_PAYMENTS", "2000"))
RATE = float(os.environ.get("PAYSTREAM_TEST_RATE", "50"))
SHARE = 0.05
pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.timeout(600 + 4 * PAYMENTS / RATE),
]
SETTINGS = {
    "PAYSTREAM_NETWORK_SIMULATOR_LOST_ANSWERS": str(SHARE),
    "PAYSTREAM_NETWORK_SIMULATOR_DOUBLED_ANSWERS": str(SHARE),
    "PAYSTREAM_NETWORK_SIMULATOR_HOLD_SECONDS": "3",
    "PAYSTREAM_NETWORK_ATTEMPTS_MAX": "1",  # some of the lost answers leave the outcome unknown
    "PAYSTREAM_NETWORK_TIMEOUT_SECONDS": "2",
    "PAYSTREAM_NETWORK_NOT_FOUND_TIMEOUT_SECONDS": "10",
    "PAYSTREAM_PAYMENTS_NETWORK_TIMEOUT_SECONDS": "60",
    "PAYSTREAM_PAYMENTS_STATUS_INQUIRY_BACKOFF_SECONDS": "1",
    "PAYSTREAM_PAYMENTS_ACTION_TIMEOUT_SECONDS": "45",
}
WAITING = """
SELECT status, count() FROM payments
WHERE status IN ('new', 'authorizing', 'requires_action', 'capturing', 'voiding', 'unknown')
GROUP BY status
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A stack whose network behaves so."""
    kafka_jars.fetch()
    directory = tmp_path_factory.mktemp("doubled")
    env_file = directory / "stack.env"
    arguments = ("up", "--state-dir", str(directory / "state"), "--env-file", str(env_file))
    launch = Launch(
        name="up",
        command=(sys.executable, "-m", "paystream.cli", *arguments, "--workers", "2"),
        log_path=directory / "up.log",
        environment=SETTINGS,
        ready=env_file.exists,
        ready_timeout_seconds=240,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        yield {**os.environ, **read_env_file(env_file), **SETTINGS}
    finally:
        child.stop(20)


def test_no_card_is_charged_twice_and_no_payment_is_stuck(env: dict[str, str]) -> None:
    result = run(env, TrafficSettings(payments=PAYMENTS, rate=RATE, seed=7))
    assert (result.problem_count, result.gave_up) == (0, 0), result.problems
    seconds = wait_until_drained(env, 180 + PAYMENTS / 50)
    settle_actions(env)

    charges = charges_of(env["NETWORK_URL"])
    assert charges.total() > PAYMENTS / 3
    assert {key: n for key, n in charges.items() if n > 1} == {}

    summary = httpx2.get(f"{env['NETWORK_URL']}/summary").json()
    print(
        f"settled after {seconds:.0f} s; faults {summary['faults']}; repeats {summary['repeats']}"
    )
    assert summary["faults"]["lost_answer"] > PAYMENTS * SHARE / 2
    assert summary["faults"]["doubled_answer"] > PAYMENTS * SHARE / 2
    assert unknown_outcomes(env) > 0

    report = run_verify(env)
    broken = [(rule.name, rule.violations, rule.skipped_reason) for rule in report.rules]
    assert report.ok, [line for line in broken if line[1] or line[2]]


def settle_actions(env: dict[str, str]) -> None:
    """Customers who stayed away are given up on; then nobody waits for anything."""
    limit = float(SETTINGS["PAYSTREAM_PAYMENTS_ACTION_TIMEOUT_SECONDS"]) + 30
    with connect(ClickHouseConnection(env["CLICKHOUSE_URL"]), database="paystream") as client:
        last: list[object] = []
        for _ in range(int(limit)):
            last = list(client.query(WAITING).result_rows)
            if not last:
                break
            wait_until_drained(env, 120)
        assert last == []
    wait_until_drained(env, 120)


def charges_of(network_url: str) -> Counter[str]:
    """Approved captures at the network, by idempotency key and by payment."""
    charges: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    authorized: dict[str, int] = {}
    for line in httpx2.get(f"{network_url}/log", timeout=60).text.splitlines():
        entry = msgspec.json.decode(line)
        payment = entry["idempotency_key"].partition(":")[0]
        if entry["outcome"] != "approved":
            continue
        if entry["operation"] == "capture":
            charges[entry["idempotency_key"]] += 1
            amounts[payment] += entry["amount_minor"]
        elif entry["operation"] == "authorize":
            authorized[payment] = entry["amount_minor"]
    assert {payment for payment in amounts if amounts[payment] > authorized[payment]} == set()
    return charges


def unknown_outcomes(env: dict[str, str]) -> int:
    """How many operations stood without an outcome for a while: the test would be idle without."""
    sql = "SELECT count() FROM payment_events WHERE type = 'payment.outcome_unknown'"
    with connect(ClickHouseConnection(env["CLICKHOUSE_URL"]), database="paystream") as client:
        return int(client.query(sql).result_rows[0][0])
