"""Registration, webhook endpoints and payouts: what is shown once, and what Kafka gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
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
    register,
    running_api,
)

from runtime.encryption import decrypt
from runtime.id_generator import new_id
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import key_hash
from schemas.codec import decode
from schemas.records import AuditAction, MerchantCommand, PayoutRequest
from schemas.topics import AUDIT_ACTIONS, MERCHANTS_COMMANDS, PAYOUTS_REQUESTS

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
    body = {"webhook_url": "https://shop.example/hooks"}
    answer = register(api, **body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    for mode in ("test", "live"):
        assert made["api_keys"][mode].startswith(f"sk_{mode}_")
        headers = {"Authorization": f"Bearer {made['api_keys'][mode]}", "Idempotency-Key": "k"}
        payment = api.http.post("/v1/payments", json=PAYMENT, headers=headers)
        assert (payment.status_code, payment.json()["mode"]) == (202, mode)


def test_kafka_gets_hashes_and_sealed_secrets_only(api: RunningApi, kafka_broker: str) -> None:
    body = {"webhook_url": "https://shop.example/hooks", "bank_account": "DE00X1"}
    made = register(api, **body).json()
    registered, test_key, live_key, endpoint = merchant_commands(kafka_broker, made["id"])
    assert (registered.kind, registered.name, registered.bank_account) == (
        "register",
        "Shop",
        "DE00X1",
    )
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
    body: dict[str, object] = {"fee_basis_points": 290, "fee_fixed_minor": 30}
    assert register(api, **body).status_code == 403
    headers = OPERATOR | {"Idempotency-Key": new_id("shop-")}
    made = api.http.post("/v1/merchants", json={"name": "Shop", **body}, headers=headers)
    assert made.status_code == 201
    registered, *_ = merchant_commands(kafka_broker, made.json()["id"])
    assert (registered.fee_basis_points, registered.fee_fixed_minor) == (290, 30)


def test_without_the_merchant_agent_it_says_not_yet(
    kafka_broker: str, valkey_url: str, tmp_path: Path
) -> None:
    settings = {"PAYSTREAM_API_REGISTRATION_WAIT_SECONDS": "0"}
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as running:
        answer = register(running)
    assert answer.status_code == 202
    assert answer.headers["Retry-After"]
    assert answer.json()["api_keys"]["test"]


def test_registration_can_be_closed(kafka_broker: str, valkey_url: str, tmp_path: Path) -> None:
    settings = {"PAYSTREAM_API_OPEN_REGISTRATION": "false"}
    with running_api(kafka_broker, valkey_url, tmp_path, **settings) as running:
        assert register(running).status_code == 403


def test_endpoints_come_and_go(api: RunningApi) -> None:
    made = register(api).json()
    assert made["webhook_endpoint"] is None
    headers = {"Authorization": f"Bearer {made['api_keys']['test']}"}
    url = "https://shop.example/hooks"
    keyed = headers | {"Idempotency-Key": "endpoint-1"}
    answer = api.http.post("/v1/webhook_endpoints", json={"url": url}, headers=keyed)
    assert answer.status_code == 201
    again = api.http.post("/v1/webhook_endpoints", json={"url": url}, headers=keyed)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == answer.json() | {"secret": None}
    other = api.http.post("/v1/webhook_endpoints", json={"url": f"{url}/2"}, headers=keyed)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    endpoint_id = answer.json()["id"]
    listed = api.http.get("/v1/webhook_endpoints", headers=headers).json()
    assert listed == [{"id": endpoint_id, "url": url, "enabled": True, "mode": "test"}]
    path = f"/v1/webhook_endpoints/{endpoint_id}"
    assert api.http.delete(path, headers=headers).status_code == 204
    assert api.http.get("/v1/webhook_endpoints", headers=headers).json() == []
    assert api.http.delete(path, headers=headers).status_code == 404


def test_a_repeated_registration_makes_one_merchant(api: RunningApi) -> None:
    first = register(api, "registration-0001", webhook_url="https://shop.example/hooks").json()
    again = register(api, "registration-0001", webhook_url="https://shop.example/hooks")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["id"] == first["id"]
    assert again.json()["api_keys"] == {"test": None, "live": None}
    assert again.json()["webhook_endpoint"]["secret"] is None
    other = register(api, "registration-0001", name="Another shop")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "https://shop.example:99999/",
        "https://10.0.0.1/",
        " https://shop.example/",
        "https://shop.example/\n",
        "https://shop.example/\r\nSet-Cookie: x",
        "http://127.0.0.1:9000/",
    ],
)
def test_a_url_that_the_sender_refuses_is_refused_at_the_door(
    api: RunningApi, shop: Shop, url: str
) -> None:
    posts = {
        "webhook_url": ("/v1/merchants", {"name": "Shop", "webhook_url": url}),
        "url": ("/v1/webhook_endpoints", {"url": url}),
        "return_url": ("/v1/payments", PAYMENT | {"return_url": url}),
    }
    for field, (path, body) in posts.items():
        headers = {"Idempotency-Key": new_id("k-")} if field == "webhook_url" else shop.headers()
        answer = api.http.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{field}")


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
    assert again.headers["Idempotent-Replayed"] == "true"
    dollars = api.http.post("/v1/payouts", json={"currency": "USD"}, headers=headers)
    assert (dollars.status_code, dollars.json()["code"]) == (422, "idempotency_mismatch")
    other = api.http.post("/v1/payouts", json={"mode": "live"}, headers=shop.headers())
    assert other.status_code == 403


def test_operators_say_whose_payouts(api: RunningApi, shop: Shop, kafka_broker: str) -> None:
    def post(path: str, headers: dict[str, str], **body: object) -> httpx2.Response:
        return api.http.post(path, headers={"Idempotency-Key": new_id("k-")} | headers, **body)

    own = {"merchant_id": shop.merchant.merchant_id}
    live = post("/v1/payouts", json=own, headers=OPERATOR)
    test = post("/v1/payouts", json=own | {"mode": "test"}, headers=OPERATOR)
    assert [answer.status_code for answer in (live, test)] == [202, 202]
    assert [answer.json()["mode"] for answer in (live, test)] == ["live", "test"]
    assert post("/v1/payouts", headers=OPERATOR).status_code == 400
    unknown = {"merchant_id": "mer_" + "0" * 32}
    assert post("/v1/payouts", json=unknown, headers=OPERATOR).status_code == 404
    assert post("/v1/payouts", json=unknown, headers=shop.headers()).status_code == 403
    acts = [
        decode(AuditAction, record.value or b"")
        for record in read_topic(KafkaConnection(kafka_broker), AUDIT_ACTIONS)
        if record.key == shop.merchant.merchant_id
    ]
    assert [(a.action, a.mode, a.actor) for a in acts] == [
        ("payout.close", "live", "operator"),
        ("payout.close", "test", "operator"),
    ]
