"""Valkey loses everything; `paystream rebuild status` brings it back beside a running sink."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from api_process import Shop, known_shop, running_api
from polling import eventually
from sink_worker import event, publish, worker

from devstack.services import kafka, kafka_jars, valkey
from devstack.services.child import Child
from devstack.services.ports import free_port
from paystream.operations.topics import create_all
from paystream.verify import tables
from paystream.verify.dataset import Dataset
from paystream.verify.live import LiveSources
from paystream.verify.result import Findings
from runtime.clock import now_ms
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.topics import PAYMENTS_EVENTS

pytestmark = pytest.mark.services
KEYS = ("order-1", "order-2", "order-3")


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A broker and a Valkey of its own: the rule compares all that is in them."""
    kafka_jars.fetch()
    cluster, children = kafka.start_in(tmp_path / "kafka")
    port = free_port()
    store = Child(valkey.launch(tmp_path / "valkey", port, tmp_path))
    try:
        store.wait_ready()
        create_all(KafkaConnection(cluster.bootstrap_servers))
        yield {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "REDIS_URL": valkey.url(port),
            "PAYSTREAM_STATE_DIR": str(tmp_path),
        }
    finally:
        for child in [store, *children]:
            child.kill_group()


def rebuild(env: dict[str, str]) -> dict[str, int]:
    command = [sys.executable, "-m", "paystream.cli", "rebuild", "status", "--json"]
    ended = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return dict(json.loads(ended.stdout))


def differences(env: dict[str, str]) -> list[str]:
    """What the rule tables_match_events says about Valkey."""
    findings = Findings()
    tables._status_is_view(Dataset(LiveSources(env), env), findings)
    assert findings.checked >= len(KEYS)
    return findings.violations


def pay(bootstrap: str, merchant_id: str, payment: str, sequence: int, **changes: Any) -> None:
    more = {"mode": "test", "occurred_at_ms": now_ms(), **changes}
    publish(bootstrap, PAYMENTS_EVENTS, payment, event(payment, merchant_id, sequence, **more))


def test_a_wiped_valkey_is_written_anew_from_the_log(env: dict[str, str], tmp_path: Path) -> None:
    bootstrap, url = env["KAFKA_BOOTSTRAP_SERVERS"], env["REDIS_URL"]
    store = redis.Redis.from_url(url)
    with (
        running_api(bootstrap, url, tmp_path) as api,
        worker("status", bootstrap, tmp_path, env) as sink,
    ):
        shop: Shop = known_shop(api, bootstrap)
        merchant_id = shop.merchant.merchant_id
        payments = [ids.payment_id(merchant_id, "test", key) for key in KEYS]
        for payment in payments:
            pay(bootstrap, merchant_id, payment, 1)
            pay(bootstrap, merchant_id, payment, 2, type="payment.authorized", status="authorized")

        def read(payment: str) -> Any:
            return api.http.get(f"/v1/payments/{payment}", headers=shop.headers())

        for payment in payments:
            eventually(lambda p=payment: read(p).is_success, "read")  # type: ignore[misc] # bound now
        before = read(payments[1]).json()
        store.flushall()
        assert read(payments[0]).status_code == 404
        pay(bootstrap, merchant_id, payments[0], 3, type="payment.captured", status="captured")
        eventually(lambda: read(payments[0]).is_success, "a view without its beginning")
        assert read(payments[0]).json()["created_at_ms"] is None
        assert differences(env)
        assert rebuild(env)["payments"] == len(KEYS)
        assert differences(env) == []
        assert read(payments[1]).json() == before
        assert read(payments[0]).json()["status"] == "captured"
        assert store.get(f"command:cmd_{payments[2]}") is not None
        newer = json.dumps(before | {"sequence": 99})
        store.set(f"payment:{payments[1]}", newer)
        rebuild(env)
        assert store.get(f"payment:{payments[1]}") == newer.encode()
        assert sink.exit_code() is None
