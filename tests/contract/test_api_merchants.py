"""Registration, webhook endpoints and payouts: what is shown once, and what Kafka gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_process import (
    ADMIN_TOKEN,
    MASTER_KEY,
    PAYMENT,
    RunningApi,
    Shop,
    create_topics,
    known_shop,
    merchant_agent,
    running_api,
)

from runtime.encryption import decrypt
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import key_hash
from schemas.codec import decode
from schemas.records import MerchantCommand, PayoutRequest
from schemas.topics import MERCHANTS_COMMANDS, PAYOUTS_REQUESTS

pytestmark = pytest.mark.services

OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture(scope="module")
def api(
    kafka_broker: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    create_topics(kafka_broker)
    directory = tmp_path_factory.mktemp("api")
    with (
        merchant_agent(kafka_broker),
        running_api(kafka_broker, valkey_url, directory) as running,
    ):
        yield running


def merchant_commands(bootstrap: str, merchant_id: str) -> list[MerchantCommand]:
    return [
        decode(MerchantCommand, record.value or b"")
        for record in read_topic(KafkaConnection(bootstrap), MERCHANTS_COMMANDS)
        if record.key == merchant_id
    ]


def test_keys_work_as_soon_as_they_are_shown(api: RunningApi) -> None:
    body = {"name": "Shop", "webhook_url": "https://shop.example/hooks"}
    answer = api.http.post("/v1/merchants", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    for mode in ("test", "live"):
        assert made["api_keys"][mode].startswith(f"sk_{mode}_")
        headers = {"Authorization": f"Bearer {made['api_keys'][mode]}", "Idempotency-Key": "k"}
        payment = api.http.post("/v1/payments", json=PAYMENT, headers=headers)
        assert (payment.status_code, payment.json()["mode"]) == (202, mode)


def test_kafka_gets_hashes_and_sealed_secrets_only(api: RunningApi, kafka_broker: str) -> None:
    body = {"name": "Shop", "webhook_url": "https://shop.example/hooks", "bank_account": "DE00X1"}
    made = api.http.post("/v1/merchants", json=body).json()
    register, test_key, live_key, endpoint = merchant_commands(kafka_broker, made["id"])
    assert (register.kind, register.name, register.bank_account) == ("register", "Shop", "DE00X1")
    assert test_key.key_hash == key_hash(made["api_keys"]["test"])
    assert (live_key.key_mode, live_key.key_hash) == ("live", key_hash(made["api_keys"]["live"]))
    assert endpoint.endpoint_id == made["webhook_endpoint"]["id"]
    secret = decrypt(MASTER_KEY, endpoint.encrypted_secret or "", endpoint.endpoint_id or "")
    assert secret == made["webhook_endpoint"]["secret"]
    assert secret.startswith("whsec_")

    stored = b"".join(
        r.value or b"" for r in read_topic(KafkaConnection(kafka_broker), MERCHANTS_COMMANDS)
    )
    for text in (*made["api_keys"].values(), secret):
        assert text.encode() not in stored
        assert text not in api.log()


def test_only_operators_set_fees(api: RunningApi, kafka_broker: str) -> None:
    body = {"name": "Shop", "fee_basis_points": 290, "fee_fixed_minor": 30}
    assert api.http.post("/v1/merchants", json=body).status_code == 403
    made = api.http.post("/v1/merchants", json=body, headers=OPERATOR)
    assert made.status_code == 201
    register, *_ = merchant_commands(kafka_broker, made.json()["id"])
    assert (register.fee_basis_points, register.fee_fixed_minor) == (290, 30)


def test_without_the_merchant_agent_it_says_not_yet(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    settings = {"PAYSTREAM_API_REGISTRATION_WAIT_SECONDS": "0"}
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as running:
        answer = running.http.post("/v1/merchants", json={"name": "Shop"})
    assert answer.status_code == 202
    assert answer.headers["Retry-After"]
    assert answer.json()["api_keys"]["test"]


def test_registration_can_be_closed(kafka_broker: str, valkey_url: str, tmp_path: Path) -> None:
    settings = {"PAYSTREAM_API_OPEN_REGISTRATION": "false"}
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as running:
        assert running.http.post("/v1/merchants", json={"name": "Shop"}).status_code == 403


def test_endpoints_come_and_go(api: RunningApi) -> None:
    made = api.http.post("/v1/merchants", json={"name": "Shop"}).json()
    assert made["webhook_endpoint"] is None
    headers = {"Authorization": f"Bearer {made['api_keys']['test']}"}
    url = "https://shop.example/hooks"
    answer = api.http.post("/v1/webhook_endpoints", json={"url": url}, headers=headers)
    assert answer.status_code == 201
    endpoint_id = answer.json()["id"]
    listed = api.http.get("/v1/webhook_endpoints", headers=headers).json()
    assert listed == [{"id": endpoint_id, "url": url, "enabled": True}]
    path = f"/v1/webhook_endpoints/{endpoint_id}"
    assert api.http.delete(path, headers=headers).status_code == 204
    assert api.http.get("/v1/webhook_endpoints", headers=headers).json() == []
    assert api.http.delete(path, headers=headers).status_code == 404


def payout_requests(bootstrap: str, merchant_id: str) -> list[PayoutRequest]:
    return [
        decode(PayoutRequest, record.value or b"")
        for record in read_topic(KafkaConnection(bootstrap), PAYOUTS_REQUESTS)
        if record.key == merchant_id
    ]


@pytest.fixture(scope="module")
def shop(api: RunningApi, kafka_broker: str) -> Shop:
    return known_shop(api, kafka_broker)


def test_a_merchant_closes_its_payouts(api: RunningApi, shop: Shop, kafka_broker: str) -> None:
    headers = shop.headers("close-1")
    first = api.http.post("/v1/payouts", json={"currency": "EUR"}, headers=headers)
    again = api.http.post("/v1/payouts", json={"currency": "EUR"}, headers=headers)
    assert first.status_code == 202
    assert first.json() == again.json()
    [one, two] = payout_requests(kafka_broker, shop.merchant.merchant_id)
    assert one.request_id == two.request_id == first.json()["request_id"]
    assert (one.kind, one.mode, one.currency, one.source) == ("close", "test", "EUR", "api")
    other = api.http.post("/v1/payouts", json={"mode": "live"}, headers=shop.headers())
    assert other.status_code == 403


def test_operators_say_whose_payouts(api: RunningApi, shop: Shop) -> None:
    post = api.http.post
    own = {"merchant_id": shop.merchant.merchant_id}
    live = post("/v1/payouts", json=own, headers=OPERATOR)
    test = post("/v1/payouts", json=own | {"mode": "test"}, headers=OPERATOR)
    assert [answer.status_code for answer in (live, test)] == [202, 202]
    assert [answer.json()["mode"] for answer in (live, test)] == ["live", "test"]
    assert post("/v1/payouts", headers=OPERATOR).status_code == 400
    unknown = {"merchant_id": "mer_" + "0" * 32}
    assert post("/v1/payouts", json=unknown, headers=OPERATOR).status_code == 404
    assert post("/v1/payouts", json=unknown, headers=shop.headers()).status_code == 403
