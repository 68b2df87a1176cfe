"""Answers that come again as notifications: the network's POST, the API's check, the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_process import (
    PAYMENT,
    RunningApi,
    create_topics,
    known_shop,
    running_api,
    stored_commands,
    view,
)
from polling import eventually
from redis import Redis
from simulator_process import Start
from standardwebhooks import Webhook

from runtime.clock import now_ms
from schemas.enums import Source
from schemas.network_results import NetworkResult, result_command
from schemas.records import NetworkRequest, PaymentCommand
from streams.agents.network import requested_operation

pytestmark = pytest.mark.services
SECRET = "c2hhcmVkIHdpdGggdGhlIGNhcmQgbmV0d29yaw=="
PATH = "/v1/network_notifications"


@pytest.fixture(scope="module")
def api(
    kafka_broker: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    create_topics(kafka_broker)
    directory = tmp_path_factory.mktemp("notified")
    environment = {"NETWORK_NOTIFICATION_SECRET": SECRET}
    with running_api(kafka_broker, valkey_url, directory, **environment) as running:
        yield running


@pytest.fixture(scope="module")
def create(api: RunningApi, kafka_broker: str, valkey_url: str) -> PaymentCommand:
    """A payment that the read store knows."""
    shop = known_shop(api, kafka_broker)
    answer = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers())
    [(_, command)] = stored_commands(kafka_broker, answer.json()["id"])
    with Redis.from_url(valkey_url) as valkey:
        valkey.set(f"payment:{command.payment_id}", view(command, status="capturing"))
    return command


def signed(body: str, *, secret: str = SECRET, age_seconds: int = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    return {
        "webhook-id": "ntf_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("ntf_1", at, body),
        "content-type": "application/json",
    }


def told(payment_id: str, **changes: Any) -> str:
    body = {
        "idempotency_key": f"{payment_id}:capture:1",
        "operation": "capture",
        "outcome": "approved",
        "network_reference": "net_1",
        **changes,
    }
    return json.dumps(body)


def results(bootstrap: str, payment_id: str) -> list[PaymentCommand]:
    found = [command for _, command in stored_commands(bootstrap, payment_id)]
    return [command for command in found if command.kind == "network_result"]


def test_a_notification_is_the_same_command_as_the_answer(
    api: RunningApi, create: PaymentCommand, kafka_broker: str
) -> None:
    body = told(create.payment_id)
    assert api.http.post(PATH, content=body, headers=signed(body)).status_code == 202
    request = NetworkRequest(
        request_id=f"{create.payment_id}:capture:1#1",
        payment_id=create.payment_id,
        merchant_id=create.merchant_id,
        mode=create.mode,
        operation="capture",
        operation_id=f"{create.payment_id}:capture:1",
        attempt=1,
        amount_minor=1999,
        currency="EUR",
        requested_at_ms=now_ms(),
        command_id=create.command_id,
    )
    answer = NetworkResult(outcome="approved", network_reference="net_1")
    [told_command] = results(kafka_broker, create.payment_id)
    wanted = result_command(
        requested_operation(request),
        answer,
        told_command.issued_at_ms,
        source=Source.NETWORK_NOTIFICATION,
    )
    assert told_command == wanted


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(told("pay_x"), secret="YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcw=="),
        signed("another body"),
        signed(told("pay_x"), age_seconds=3_600),
        signed(told("pay_x"), age_seconds=-3_600),
        {**signed(told("pay_x")), "webhook-timestamp": "soon"},
        {**signed(told("pay_x")), "webhook-id": ""},
    ],
)
def test_what_is_not_signed_by_the_network_is_refused(
    api: RunningApi, create: PaymentCommand, kafka_broker: str, headers: dict[str, str]
) -> None:
    before = len(stored_commands(kafka_broker, create.payment_id))
    sent = {"content-type": "application/json", **headers}
    answer = api.http.post(PATH, content=told(create.payment_id), headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert len(stored_commands(kafka_broker, create.payment_id)) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "unknown"},
        {"outcome": "not_processed"},
        {"operation": "refund"},
        {"operation": "status"},
        {"idempotency_key": "order 1"},
    ],
)
def test_what_the_network_cannot_say_is_refused(
    api: RunningApi, create: PaymentCommand, changes: dict[str, str]
) -> None:
    body = told(create.payment_id, **changes)
    answer = api.http.post(PATH, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_payment_that_is_not_readable_yet_is_asked_for_later(api: RunningApi) -> None:
    body = told("pay_" + "0" * 26)
    answer = api.http.post(PATH, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()["code"]) == (503, "read_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_the_network_says_it_again_and_what_it_lost_as_well(
    api: RunningApi,
    create: PaymentCommand,
    kafka_broker: str,
    start_simulator: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every answer is doubled here; the last one itself is lost, the notification is not."""
    monkeypatch.setenv("NETWORK_NOTIFICATION_SECRET", SECRET)
    monkeypatch.setenv("API_URL", str(api.http.base_url).rstrip("/"))
    network = start_simulator("network", doubled_answers=1.0, doubled_seconds_max=0.3)
    key = f"{create.payment_id}:authorize:7"
    body = {
        "idempotency_key": key,
        "operation": "authorize",
        "amount_minor": 1999,
        "currency": "EUR",
        "card": network.encrypt("decline_funds"),
    }
    answer = network.http.post("/v1/operations", json=body).json()

    def command() -> PaymentCommand | None:
        found = results(kafka_broker, create.payment_id)
        return next((c for c in found if c.operation_id == key), None)

    eventually(command, "the notification")
    notified = command()
    assert notified is not None
    assert (notified.outcome, notified.decline_code) == ("declined", "insufficient_funds")
    assert notified.network_reference == answer["network_reference"]
    eventually(lambda: network.http.get("/summary").json()["faults"].get("doubled_answer"), "count")
    again = network.http.post("/v1/operations", json=body).json()
    assert again == answer


def test_the_endpoint_is_described(api: RunningApi) -> None:
    document = api.http.get("/openapi.json").json()
    described = document["paths"][PATH]["post"]
    names = {parameter["name"] for parameter in described["parameters"]}
    assert names >= {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert {"202", "401", "503"} <= set(described["responses"])
