"""The page for producers is true: every block of it runs against a real API, broker and network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_process import create_topics, merchant_agent, running_api, stored_commands
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from runtime.kafka import StoredRecord, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.codec import decode
from schemas.records import PaymentCommand
from schemas.signatures import SignatureVerifier
from schemas.topics import PAYMENTS_PRODUCER_COMMANDS

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[2] / "docs" / "producers" / "README.md"
BLOCK = re.compile(r"^```(?P<language>bash|python)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT_SECONDS = 60


@pytest.fixture
def environment(kafka_broker: str, valkey_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    create_topics(kafka_broker)
    port = free_port()
    network = Child(simulator("network", port, tmp_path / "network", tmp_path / "network.log"))
    try:
        network.wait_ready()
        url = f"http://127.0.0.1:{port}"
        with (
            merchant_agent(kafka_broker),
            running_api(kafka_broker, valkey_url, tmp_path, NETWORK_URL=url) as api,
        ):
            yield {
                "API_URL": str(api.http.base_url).rstrip("/"),
                "KAFKA_BOOTSTRAP_SERVERS": kafka_broker,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            }
    finally:
        network.kill_group()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page shows curl, which is not here")
def test_every_block_runs(environment: dict[str, str], kafka_broker: str, tmp_path: Path) -> None:
    script = ["set -eu"]
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["language"] == "python":
            name = block["text"].split()[1]
            (tmp_path / name).write_text(block["text"])
        else:
            script += [block["text"], "echo"]
    done = subprocess.run(
        ["bash", "-c", "\n".join([*script, 'echo "$MERCHANT"'])],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, produced, _, _, merchant_id = done.stdout.splitlines()
    check_commands(kafka_broker, merchant_id, produced)
    private = Ed25519PrivateKey.from_private_bytes((tmp_path / "producer_key").read_bytes())
    check_signature(kafka_broker, produced, private.public_key().public_bytes_raw())


def check_commands(bootstrap: str, merchant_id: str, produced: str) -> None:
    """What the page's commands left in Kafka."""
    first = ids.payment_id(merchant_id, "test", "order-1001")
    kinds = [command.kind for _, command in stored_commands(bootstrap, first)]
    assert kinds == ["create", "refund"]
    assert produced == ids.payment_id(merchant_id, "test", "order-1003")
    command = decode(PaymentCommand, produced_record(bootstrap, produced).value or b"")
    assert command.command_id == ids.command_id(produced, "create", "order-1003")
    assert command.fingerprint == ids.fingerprint(
        {"kind": "create", "amount": 1999, "currency": "EUR", "capture_method": "automatic"}
    )
    assert command.source == "producer"


def produced_record(bootstrap: str, payment_id: str) -> StoredRecord:
    """The one record that the page's program wrote."""
    [record] = [
        record
        for record in read_topic(KafkaConnection(bootstrap), PAYMENTS_PRODUCER_COMMANDS)
        if record.key == payment_id
    ]
    return record


def check_signature(bootstrap: str, payment_id: str, public_key: bytes) -> None:
    """The page's signature is the one that the worker checks."""
    record = produced_record(bootstrap, payment_id)
    SignatureVerifier().check(record.value or b"", dict(record.headers), public_key)
