"""`paystream up --secure`: money moves, every rule holds, and nobody gets in without a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Producer
from e2e.conftest import RunningStack, started_stack
from redis import RedisError

from devstack.traffic.drain import wait_until_drained
from devstack.traffic.runner import TrafficSettings, run
from runtime import valkey
from runtime.clickhouse import UNAVAILABLE, connect
from runtime.kafka import StoredRecord, producer_settings, read_topic
from runtime.settings import connections
from runtime.store_connections import ClickHouseConnection, ValkeyConnection
from schemas.topics import PAYMENTS_PRODUCER_COMMANDS, PAYMENTS_REJECTIONS

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]
PAYMENTS = 40


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started_stack(tmp_path_factory.mktemp("secure"), "--secure") as started:
        yield started


@pytest.fixture(scope="module")
def paid(stack: RunningStack) -> RunningStack:
    """The stack after payments through the API, whose every effect has arrived."""
    result = run(stack.env, TrafficSettings(payments=PAYMENTS, rate=15))
    assert result.problem_count == 0, result.problems
    wait_until_drained(stack.env, 120)
    return stack


def paystream(env: dict[str, str], directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "paystream.cli", *arguments],
        env={**os.environ, **env},
        cwd=directory,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout


@pytest.mark.parametrize("user", ["operators", "verify"])
def test_every_rule_holds_after_payments(paid: RunningStack, tmp_path: Path, user: str) -> None:
    said = paystream(paid.as_user(user), tmp_path, "verify", "--counterparty", "--json")
    report = json.loads(said)
    assert report["ok"] is True
    checked = {rule["name"]: rule["checked"] for rule in report["rules"]}
    assert checked["charged_once"] > 0
    assert checked["tables_match_events"] > 0


def test_the_cluster_has_exactly_the_derived_access_list(
    stack: RunningStack, tmp_path: Path
) -> None:
    paystream(stack.as_user("admin"), tmp_path, "acls", "--check")


def test_what_a_producer_sends_over_kafka_is_heard(stack: RunningStack) -> None:
    """An unsigned command is no payment: its sender reads why."""
    producers = connections(stack.as_user("producers")).kafka
    producer = Producer(producer_settings(producers))
    producer.produce(PAYMENTS_PRODUCER_COMMANDS, b"not a command", b"pay_of_a_stranger")
    assert producer.flush(20) == 0
    deadline = time.monotonic() + 60
    found: list[StoredRecord] = []
    while not found and time.monotonic() < deadline:
        found = [r for r in read_topic(producers, PAYMENTS_REJECTIONS) if r.value is not None]
        time.sleep(0.5)
    assert found


def test_the_api_speaks_tls_only(stack: RunningStack) -> None:
    url = stack.env["API_URL"]
    assert url.startswith("https://")
    with pytest.raises(httpx2.ConnectError, match="certificate"):
        httpx2.get(f"{url}/readyz", trust_env=False)
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"http{url.removeprefix('https')}/readyz", trust_env=False)


def test_the_analyst_reads_views_only(paid: RunningStack) -> None:
    at = connections(paid.env)
    with connect(at.analyst) as analyst:
        [[payments]] = analyst.query("SELECT count() FROM payments").result_rows
        assert payments == PAYMENTS
        for statement in (
            "SELECT count() FROM paystream_raw.payment_events",
            "INSERT INTO paystream_raw.payment_events SELECT * FROM paystream_raw.payment_events",
            "DROP VIEW payments",
        ):
            with pytest.raises(ClickHouseError):
                analyst.command(statement)


@pytest.mark.parametrize("who", ["", "analyst:wrong@", "default:wrong@", "default:@"])
def test_clickhouse_refuses_a_wrong_password(stack: RunningStack, who: str) -> None:
    at = connections(stack.env)
    address = at.clickhouse_url.removeprefix("https://")
    where = ClickHouseConnection(f"https://{who}{address}", tls=at.clickhouse.tls)
    with pytest.raises(UNAVAILABLE, match=r"Authentication failed|403"):
        connect(where, 10)


def test_valkey_refuses_who_has_no_password(stack: RunningStack) -> None:
    at = connections(stack.env)
    with pytest.raises(RedisError, match="authenticat"):
        valkey.connect(ValkeyConnection(at.redis_url, at.valkey.tls), 5).ping()
    plain = ValkeyConnection(f"redis://{at.redis_url.removeprefix('rediss://')}")
    with pytest.raises(RedisError):
        valkey.connect(plain, 5).ping()


def test_no_secret_is_an_argument_or_in_a_log(paid: RunningStack) -> None:
    secrets = {
        path.name: path.read_text().strip() for path in (paid.state_dir / "secrets").iterdir()
    }
    assert len(secrets) > 15
    shown = {
        f"arguments of {name}": Path(f"/proc/{pid}/cmdline").read_bytes()
        for name, pid in json.loads((paid.state_dir / "processes.json").read_text()).items()
    }
    shown |= {path.name: path.read_bytes() for path in (paid.state_dir / "logs").iterdir()}
    leaks = [
        f"{name} is in {where}"
        for where, content in shown.items()
        for name, secret in secrets.items()
        if secret.encode() in content
    ]
    assert leaks == []


def test_files_with_secrets_are_the_owners(stack: RunningStack) -> None:
    directory = stack.state_dir
    private = [
        *(directory / "secrets").iterdir(),
        directory / "tls" / "server.key",
        directory / "tls" / "keystore.pem",
        directory / "valkey" / "valkey.conf",
        *directory.glob("kafka/broker-*/server.properties"),
    ]
    assert [str(path) for path in private if path.stat().st_mode & 0o077] == []
