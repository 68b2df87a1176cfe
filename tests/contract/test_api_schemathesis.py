"""Every operation of the OpenAPI document, tried with what fits it and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from api_process import create_topics, merchant_agent, register, running_api

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

RUN_SECONDS_MAX = 840
BESIDE_PYTHON = str(Path(sys.executable).with_name("schemathesis"))
PROGRAM = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis") or BESIDE_PYTHON
HOOKS_DIRECTORY = str(Path(__file__).parent)
HOOKS = "schemathesis_hooks"
SETTINGS = {
    "PAYSTREAM_API_REQUESTS_PER_SECOND": "100000",
    "PAYSTREAM_API_REQUEST_BURST": "100000",
    "PAYSTREAM_API_REGISTRATION_BURST": "100000",
    "PAYSTREAM_API_REGISTRATION_WAIT_SECONDS": "3",
    "PAYSTREAM_API_WAIT_SECONDS_MAX": "0.1",
}


@pytest.mark.skipif(
    os.environ.get("PAYSTREAM_TEST_SCHEMATHESIS") != "1",
    reason="not clean yet: 7 cases of the coverage phase reuse a key and are refused (ST202). "
    "PAYSTREAM_TEST_SCHEMATHESIS=1 runs it",
)
@pytest.mark.skipif(
    not Path(PROGRAM).exists(),
    reason="schemathesis is not installed: `pip install schemathesis`, or name it in SCHEMATHESIS",
)
def test_schemathesis_finds_nothing_with_all_checks(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    port = free_port()
    network = Child(simulator("network", port, tmp_path / "network", tmp_path / "network.log"))
    settings = SETTINGS | {"NETWORK_URL": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack:
        stack.callback(network.kill_group)
        network.wait_ready()
        stack.enter_context(merchant_agent(kafka_broker))
        api = stack.enter_context(running_api(kafka_broker, valkey_url, tmp_path, **settings))
        key = register(api).json()["api_keys"]["live"]
        done = subprocess.run(
            [
                PROGRAM,
                "run",
                f"{api.http.base_url}/openapi.json",
                "--checks=all",
                f"--header=Authorization: Bearer {key}",
                "--seed=1",
                "--max-examples=30",
                "--no-color",
                "--continue-on-failure",
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": HOOKS_DIRECTORY},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
    (tmp_path / "schemathesis.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
