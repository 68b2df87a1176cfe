"""The API when its surroundings fail, when it is stopped, and what it reports to machines."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import fastavro
import httpx2
import psutil
import pytest
from api_process import (
    ADMIN_TOKEN,
    MASTER_KEY,
    PAYMENT,
    RunningApi,
    create_topics,
    known_shop,
    running_api,
    stored_commands,
)
from openapi_spec_validator import validate
from polling import eventually

from devstack.services import kafka
from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from ingest_api.commands.producer import CommandProducer, NotAcknowledged, TooManyOutstanding
from ingest_api.http import asyncapi
from runtime.id_generator import new_id
from runtime.kafka import producer_settings
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.enums import Mode

pytestmark = pytest.mark.services

EXIT_SECONDS = 20
REQUEST_SECONDS_MAX = 2.0


@contextmanager
def stoppable_broker(directory: Path) -> Iterator[tuple[Child, str]]:
    """A broker of its own, and its address."""
    cluster, children = kafka.start_in(directory / "kafka")
    try:
        yield children[0], cluster.bootstrap_servers
    finally:
        for child in children:
            child.kill_group()


@pytest.fixture(scope="module")
def api(
    kafka_broker: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    create_topics(kafka_broker)
    with running_api(kafka_broker, valkey_url, tmp_path_factory.mktemp("api")) as running:
        yield running


def test_without_valkey_commands_go_to_kafka_all_the_same(
    kafka_broker: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(kafka_broker, nobody, tmp_path) as api:
        shop = known_shop(api, kafka_broker)
        headers = shop.headers(Prefer="wait=5")
        answers = [api.http.post("/v1/payments", json=PAYMENT, headers=headers) for _ in range(2)]
        assert [a.status_code for a in answers] == [202, 202]
        assert answers[0].content == answers[1].content
        payment_id = answers[0].json()["id"]
        commands = [c for _, c in stored_commands(kafka_broker, payment_id)]
        assert len(commands) == 2
        assert len({(c.command_id, c.fingerprint) for c in commands}) == 1
        read = api.http.get(f"/v1/payments/{payment_id}", headers=shop.headers())
        assert (read.status_code, read.json()["code"]) == (503, "read_unavailable")
        assert read.headers["Retry-After"]


def test_the_rate_of_a_merchant_can_be_limited(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    settings = {
        "PAYSTREAM_API_REQUESTS_PER_SECOND": "0.001",
        "PAYSTREAM_API_REQUEST_BURST": "3",
    }
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as api:
        shop = known_shop(api, kafka_broker)
        path = "/v1/webhook_endpoints"
        answers = [api.http.get(path, headers=shop.headers()) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert {a.headers["RateLimit-Policy"] for a in answers} == {'"default";q=3;w=3000'}
        left = [answer.headers["RateLimit"].split(";")[1] for answer in answers]
        assert left == ["r=1", "r=0", "r=0", "r=0"]
        for refused in answers[2:]:
            assert 900 < int(refused.headers["Retry-After"]) <= 1000
            assert refused.json()["code"] == "rate_limited"
        live = shop.headers(mode=Mode.LIVE)
        assert api.http.get(path, headers=live).status_code == 200
        assert api.http.get("/v1/webhook_endpoints").status_code == 401


def test_a_merchants_record_has_limits_of_its_own_and_processes_share_them(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    with (
        running_api(kafka_broker, valkey_url, tmp_path) as one,
        running_api(kafka_broker, valkey_url, tmp_path) as two,
    ):
        limits = {"requests_per_second_max": 1, "request_burst_max": 40}
        shop = known_shop(one, kafka_broker, **limits)
        passed = 0
        for number in range(60):
            http = (one, two)[number % 2].http
            answer = http.get("/v1/webhook_endpoints", headers=shop.headers())
            passed += answer.status_code == 200
        assert 38 <= passed <= 45


def test_without_valkey_each_process_limits_by_itself(kafka_broker: str, tmp_path: Path) -> None:
    create_topics(kafka_broker)
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    settings = {
        "PAYSTREAM_API_REQUESTS_PER_SECOND": "0.001",
        "PAYSTREAM_API_REQUEST_BURST": "5",
    }
    with running_api(kafka_broker, nobody, tmp_path, **settings) as api:
        shop = known_shop(api, kafka_broker)
        path = "/v1/webhook_endpoints"
        statuses = [api.http.get(path, headers=shop.headers()).status_code for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2


def test_open_registration_is_limited_and_operators_are_not(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    settings = {
        "PAYSTREAM_API_REGISTRATION_BURST": "2",
        "PAYSTREAM_API_ADDRESS_REGISTRATIONS_PER_MINUTE": "0.01",
        "PAYSTREAM_API_REGISTRATION_WAIT_SECONDS": "0",
        "PAYSTREAM_API_TRUSTED_PROXIES": "1",
    }
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as api:
        address = new_id("")

        def status(**headers: str) -> int:
            headers |= {"Idempotency-Key": new_id("k-")}
            body = {"name": "Shop"}
            return api.http.post("/v1/merchants", json=body, headers=headers).status_code

        proxied = {"X-Forwarded-For": f"forged, 2001:db8::{address[:4]}"}
        assert [status(**proxied) for _ in range(3)] == [202, 202, 429]
        operator = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        assert status(**proxied, **operator) == 202


def test_a_silent_broker_ends_requests_soon_and_the_process_is_not_ready(
    valkey_url: str, tmp_path: Path
) -> None:
    with stoppable_broker(tmp_path) as (broker, bootstrap):
        create_topics(bootstrap)
        with running_api(bootstrap, valkey_url, tmp_path) as api:
            shop = known_shop(api, bootstrap)
            assert api.http.get("/readyz").json()["ready"] is True
            key = shop.headers()
            broker.signal(signal.SIGSTOP)
            try:
                for _ in range(3):
                    began = time.monotonic()
                    answer = api.http.post("/v1/payments", json=PAYMENT, headers=key)
                    assert time.monotonic() - began < REQUEST_SECONDS_MAX
                    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
                    assert answer.headers["Retry-After"]
                eventually(lambda: api.http.get("/readyz").status_code == 503, "it says so")
                said = api.http.get("/readyz").json()
                assert said["reasons"] == ["Kafka does not answer."]
                assert (said["kafka"], said["valkey"], said["registry"]) == (
                    "silent",
                    "answers",
                    "read",
                )
            finally:
                broker.signal(signal.SIGCONT)
            eventually(lambda: api.http.get("/readyz").status_code == 200, "it is ready again")
            answer = api.http.post("/v1/payments", json=PAYMENT, headers=key)
            assert answer.status_code == 202
            commands = [c for _, c in stored_commands(bootstrap, answer.json()["id"])]
            assert len({(c.command_id, c.fingerprint) for c in commands}) == 1


def test_operators_and_probes_have_addresses_of_their_own(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    admin_port, metrics_port = free_port(), free_port()
    settings = {
        "PAYSTREAM_API_ADMIN_PORT": str(admin_port),
        "PAYSTREAM_API_METRICS_PORT": str(metrics_port),
        "PAYSTREAM_API_REGISTRATION_WAIT_SECONDS": "0",
    }
    probes = f"http://127.0.0.1:{metrics_port}"
    with running_api(kafka_broker, valkey_url, tmp_path, ready_url=probes, **settings) as api:
        operator = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Idempotency-Key": new_id("k-")}
        body = {"name": "Shop"}
        assert api.http.post("/v1/merchants", json=body, headers=operator).status_code == 404
        assert api.http.get("/metrics").status_code == 404
        assert api.http.get("/readyz").status_code == 404
        payment = f"/v1/payments/pay_{'0' * 26}"
        assert api.http.get(payment, headers=operator).status_code == 403
        with httpx2.Client(base_url=f"http://127.0.0.1:{admin_port}") as admin:
            made = admin.post("/v1/merchants", json=body, headers=operator)
            assert made.status_code == 202
            assert admin.get(payment, headers=operator).status_code == 404
            assert admin.post("/v1/payments", json=PAYMENT, headers=operator).status_code == 404
            assert admin.get("/metrics").status_code == 404
        with httpx2.Client(base_url=probes) as machine:
            assert "paystream_api_requests_total" in machine.get("/metrics").text
            assert machine.get("/livez").text == "ok\n"
            assert machine.get(payment).status_code == 404
        api.child.signal(signal.SIGTERM)
        eventually(lambda: api.child.exit_code() is not None, "it ends")
        assert api.child.exit_code() == 0


async def test_records_without_acknowledgement_are_bounded_and_reported() -> None:
    settings = producer_settings(KafkaConnection(f"127.0.0.1:{free_port()}")) | {
        "delivery.timeout.ms": 300
    }
    producer = CommandProducer(settings, outstanding_records_max=1)
    first = asyncio.create_task(producer.send("t", key="k", value=b"v", headers={}))
    await asyncio.sleep(0)
    with pytest.raises(TooManyOutstanding):
        await producer.send("t", key="k", value=b"v", headers={})
    with pytest.raises(NotAcknowledged):
        await first
    assert producer.outstanding_records == 0
    assert await producer.stop(5) == 0


def test_sigterm_answers_what_is_under_way_and_exits_0(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    with running_api(kafka_broker, valkey_url, tmp_path) as api:
        shop = known_shop(api, kafka_broker)
        headers = shop.headers(Prefer="wait=10")
        payment_id = ids.payment_id(shop.merchant.merchant_id, "test", headers["Idempotency-Key"])
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(api.http.post, "/v1/payments", json=PAYMENT, headers=headers)
            eventually(lambda: stored_commands(kafka_broker, payment_id), "it is in Kafka")
            api.child.signal(signal.SIGTERM)
            assert waiting.result(EXIT_SECONDS).status_code == 202
        eventually(lambda: api.child.exit_code() is not None, "it ends")
        assert api.child.exit_code() == 0
        with pytest.raises(httpx2.ConnectError), httpx2.Client(base_url=api.http.base_url) as new:
            new.get("/livez")
        assert '"unacknowledged_records": 0' in api.log()


def test_two_processes_share_the_port_and_end_together(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    with running_api(kafka_broker, valkey_url, tmp_path, workers=2) as api:
        known_shop(api, kafka_broker)
        assert len(psutil.Process(api.child.pid).children()) == 2
        api.child.signal(signal.SIGTERM)
        eventually(lambda: api.child.exit_code() is not None, "it ends")
        assert api.child.exit_code() == 0


def test_processes_do_not_outlive_the_one_that_started_them(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    with running_api(kafka_broker, valkey_url, tmp_path, workers=2) as api:
        workers = psutil.Process(api.child.pid).children()
        assert len(workers) == 2
        api.child.signal(signal.SIGKILL)
        assert psutil.wait_procs(workers, EXIT_SECONDS)[1] == []


@pytest.mark.parametrize(
    "missing", ["KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "PAYSTREAM_MASTER_KEY"]
)
def test_a_missing_setting_is_named(missing: str) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
        "PAYSTREAM_MASTER_KEY": MASTER_KEY,
        "PATH": os.environ["PATH"],
    }
    del environment[missing]
    done = subprocess.run(
        [sys.executable, "-m", "ingest_api", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert missing in done.stderr
    assert "Traceback" not in done.stderr


def test_the_card_key_is_passed_on_and_outlives_the_network(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    port = free_port()
    network = Child(simulator("network", port, tmp_path / "network", tmp_path / "network.log"))
    settings = {"NETWORK_URL": f"http://127.0.0.1:{port}", "PAYSTREAM_API_JWKS_SECONDS": "0"}
    try:
        network.wait_ready()
        with running_api(kafka_broker, valkey_url, tmp_path, **settings) as api:
            [key] = api.http.get("/.well-known/jwks.json").json()["keys"]
            assert (key["kty"], key["crv"]) == ("EC", "P-256")
            assert "d" not in key
            network.kill_group()
            assert api.http.get("/.well-known/jwks.json").json()["keys"] == [key]
    finally:
        network.kill_group()


def test_without_a_network_there_is_no_card_key(api: RunningApi) -> None:
    answer = api.http.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.json()["code"]) == (503, "network_unavailable")


def test_openapi_is_valid_and_complete(api: RunningApi) -> None:
    document = api.http.get("/openapi.json").json()
    validate(document)
    assert {"/v1/payments", "/v1/payments/{payment_id}/refunds", "/v1/merchants"} <= set(
        document["paths"]
    )
    create = document["paths"]["/v1/payments"]["post"]
    assert {p["name"] for p in create["parameters"]} == {"Idempotency-Key", "Prefer"}
    assert {"200", "202", "400", "401", "422", "503"} <= set(create["responses"])


def test_asyncapi_is_served(api: RunningApi) -> None:
    assert api.http.get("/asyncapi.yaml").text == asyncapi.as_yaml()


def test_a_record_is_read_with_the_registry_alone(api: RunningApi, kafka_broker: str) -> None:
    shop = known_shop(api, kafka_broker)
    made = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers()).json()
    [(record, command)] = stored_commands(kafka_broker, made["id"])
    value = record.value or b""
    answer = api.http.get(f"/schemas/ids/{int.from_bytes(value[1:5], 'big')}")
    schema = fastavro.parse_schema(json.loads(answer.json()["schema"]))
    decoded = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
    assert decoded["command_id"] == command.command_id
    latest = api.http.get("/subjects/payments.commands-value/versions/latest").json()
    assert latest["schema"] == answer.json()["schema"]
    assert api.http.get("/schemas/ids/0").json()["error_code"] == 40403
    assert api.http.get("/subjects/x/versions/latest").json()["error_code"] == 40401


def test_problem_types_are_explained(api: RunningApi) -> None:
    problem = api.http.get("/v1/payments/pay_x").json()
    explained = api.http.get(problem["type"]).json()
    assert (explained["code"], explained["status"]) == (problem["code"], problem["status"])


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/v1/payments", 405)]
)
def test_what_is_not_there(api: RunningApi, method: str, path: str, status: int) -> None:
    answer = api.http.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
