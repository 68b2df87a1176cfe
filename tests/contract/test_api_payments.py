"""The API over a real broker and a real Valkey: what clients see and what Kafka gets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from api_process import (
    ADMIN_TOKEN,
    JWE,
    PAYMENT,
    RunningApi,
    Shop,
    create_topics,
    known_shop,
    running_api,
    stored_commands,
    view,
)
from polling import eventually
from redis import Redis

from ingest_api.http.problems import MEDIA_TYPE
from runtime.id_generator import new_id
from schemas import ids
from schemas.enums import Mode
from schemas.partitioning import partition_of
from schemas.records import PaymentCommand
from schemas.topics import PAYMENTS_COMMANDS, TOPICS

pytestmark = pytest.mark.services

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER_JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..b3RoZXI.b3RoZXJ0ZXh0.b3RoZXI"


@pytest.fixture(scope="module")
def api(
    kafka_broker: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    create_topics(kafka_broker)
    with running_api(kafka_broker, valkey_url, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(api: RunningApi, kafka_broker: str) -> Shop:
    return known_shop(api, kafka_broker)


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Redis]:
    with Redis.from_url(valkey_url) as client:
        yield client


def created(api: RunningApi, shop: Shop, bootstrap: str, **changes: object) -> PaymentCommand:
    """Create a payment; its command as Kafka has it."""
    answer = api.http.post("/v1/payments", json=PAYMENT | changes, headers=shop.headers())
    assert answer.status_code == 202, answer.text
    [(_, command)] = stored_commands(bootstrap, answer.json()["id"])
    return command


def test_a_payment_is_accepted_once_kafka_has_its_command(
    api: RunningApi, shop: Shop, kafka_broker: str
) -> None:
    key = new_id("order-")
    body = PAYMENT | {"reference": "order 17", "capture_method": "manual"}
    answer = api.http.post(
        "/v1/payments", json=body, headers=shop.headers(key, traceparent=TRACEPARENT)
    )
    assert answer.status_code == 202
    payment_id = ids.payment_id(shop.merchant.merchant_id, "test", key)
    assert answer.headers["Location"] == f"/v1/payments/{payment_id}"
    assert answer.headers["traceparent"] == TRACEPARENT
    assert "Idempotent-Replayed" not in answer.headers
    assert answer.json()["id"] == payment_id
    assert answer.json()["status"] == "new"

    [(record, command)] = stored_commands(kafka_broker, payment_id)
    partitions = TOPICS[PAYMENTS_COMMANDS].partitions
    assert record.partition == partition_of(payment_id, partitions)
    assert record.headers["traceparent"].decode() == TRACEPARENT
    assert record.headers["ce_id"].decode() == command.command_id
    assert command.command_id == ids.command_id(payment_id, "create", key)
    assert command.merchant_id == shop.merchant.merchant_id
    assert (command.mode, command.kind, command.source) == ("test", "create", "api")
    assert (command.amount_minor, command.currency) == (1999, "EUR")
    assert (command.capture_method, command.reference) == ("manual", "order 17")
    assert (command.fee_basis_points, command.fee_fixed_minor) == (140, 25)
    assert command.card == JWE
    assert command.idempotency_key == key


def test_a_repeat_gets_the_first_answer(api: RunningApi, shop: Shop, kafka_broker: str) -> None:
    headers = shop.headers()
    first = api.http.post("/v1/payments", json=PAYMENT, headers=headers)
    again = api.http.post("/v1/payments", json=PAYMENT | {"card": OTHER_JWE}, headers=headers)
    assert again.status_code == first.status_code == 202
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    commands = [c for _, c in stored_commands(kafka_broker, first.json()["id"])]
    assert len({(c.command_id, c.fingerprint) for c in commands}) == 1


def test_another_body_with_the_same_key_is_refused(api: RunningApi, shop: Shop) -> None:
    headers = shop.headers()
    api.http.post("/v1/payments", json=PAYMENT, headers=headers)
    answer = api.http.post("/v1/payments", json=PAYMENT | {"amount": 2000}, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.json()["code"] == "idempotency_mismatch"


def test_test_and_live_do_not_share_keys(api: RunningApi, shop: Shop) -> None:
    made = {
        mode: api.http.post(
            "/v1/payments", json=PAYMENT, headers=shop.headers("one-key", mode)
        ).json()
        for mode in Mode
    }
    assert made[Mode.TEST]["id"] != made[Mode.LIVE]["id"]
    assert made[Mode.LIVE]["mode"] == "live"


def test_a_repeat_that_was_handled_is_not_sent_again(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    headers = shop.headers()
    payment_id = api.http.post("/v1/payments", json=PAYMENT, headers=headers).json()["id"]
    [(_, command)] = stored_commands(kafka_broker, payment_id)
    valkey.set(f"payment:{payment_id}", view(command))
    again = api.http.post("/v1/payments", json=PAYMENT, headers=headers)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert len(stored_commands(kafka_broker, payment_id)) == 1


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Idempotency-Key": ""}, 400, "idempotency_key_missing"),
        ({"Idempotency-Key": "two words"}, 400, "invalid_request"),
        ({"Authorization": ""}, 401, "unauthenticated"),
        ({"Authorization": "Bearer sk_test_unknown"}, 401, "unauthenticated"),
        ({"Authorization": f"Bearer {ADMIN_TOKEN}"}, 403, "forbidden"),
    ],
)
def test_refused_by_its_headers(
    api: RunningApi, shop: Shop, headers: dict[str, str], status: int, code: str
) -> None:
    answer = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers() | headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == MEDIA_TYPE


def test_a_closed_merchant_is_forbidden(api: RunningApi, kafka_broker: str) -> None:
    shop = known_shop(api, kafka_broker, status="closed")
    answer = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers())
    assert answer.status_code == 403


def test_too_large_a_body(api: RunningApi, shop: Shop) -> None:
    body = PAYMENT | {"reference": "x" * 70_000}
    answer = api.http.post("/v1/payments", json=body, headers=shop.headers())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        PAYMENT | {"reference": "4242 4242 4242 4242"},
        PAYMENT | {"card": "4242424242424242"},
        PAYMENT | {"4242424242424242": "x"},
        PAYMENT | {"customer": {"cards": ["4242-4242-4242-4242"]}},
    ],
)
def test_card_numbers_are_refused_and_forgotten(
    api: RunningApi, shop: Shop, body: dict[str, object]
) -> None:
    answer = api.http.post("/v1/payments", json=body, headers=shop.headers())
    assert (answer.status_code, answer.json()["code"]) == (422, "card_number_in_clear")
    assert "4242" not in answer.text
    assert "4242424242424242" not in api.log().replace(" ", "").replace("-", "")


def test_a_wrong_field_is_named(api: RunningApi, shop: Shop) -> None:
    body = PAYMENT | {"amount": "1999"}
    answer = api.http.post("/v1/payments", json=body, headers=shop.headers())
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/amount"


def test_a_payment_is_read_from_its_view(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    command = created(api, shop, kafka_broker)
    path = f"/v1/payments/{command.payment_id}"
    assert api.http.get(path, headers=shop.headers()).json()["status"] == "new"
    valkey.set(f"payment:{command.payment_id}", view(command))
    answer = api.http.get(path, headers=shop.headers())
    assert answer.status_code == 200
    assert answer.json() == msgspec.json.decode(view(command))
    assert api.http.get(path, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).is_success


def test_others_payments_do_not_exist(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    command = created(api, shop, kafka_broker)
    path = f"/v1/payments/{command.payment_id}"
    other = known_shop(api, kafka_broker)
    strangers = [other.headers(), shop.headers(mode=Mode.LIVE)]
    for known in (False, True):
        if known:
            valkey.set(f"payment:{command.payment_id}", view(command))
        for headers in strangers:
            assert api.http.get(path, headers=headers).status_code == 404
            if not known:
                continue
            for action in ("capture", "void", "refunds", "complete_action"):
                assert api.http.post(f"{path}/{action}", headers=headers).status_code == 404
    assert len(stored_commands(kafka_broker, command.payment_id)) == 1


def test_a_command_to_a_payment_that_valkey_lost_is_taken(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    """An evicted document is no payment that never was: only the worker knows."""
    payment = created(api, shop, kafka_broker)
    valkey.flushall()
    path = f"/v1/payments/{payment.payment_id}"
    assert api.http.post(f"{path}/capture", headers=shop.headers()).status_code == 202
    assert len(stored_commands(kafka_broker, payment.payment_id)) == 2


def test_a_key_of_the_wrong_type_fails_alone(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    good, odd = created(api, shop, kafka_broker), created(api, shop, kafka_broker)
    valkey.set(f"payment:{good.payment_id}", view(good))
    valkey.delete(f"payment:{odd.payment_id}")
    valkey.rpush(f"payment:{odd.payment_id}", "x")
    for _ in range(3):
        assert api.http.get(f"/v1/payments/{good.payment_id}", headers=shop.headers()).is_success
        answer = api.http.get(f"/v1/payments/{odd.payment_id}", headers=shop.headers())
        assert answer.status_code in (200, 503)


def test_the_repeat_of_a_rejected_command_says_so_also_without_waiting(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    payment = created(api, shop, kafka_broker)
    path, headers = f"/v1/payments/{payment.payment_id}/capture", shop.headers()
    body = {"amount": 99_999}
    first = api.http.post(path, json=body, headers=headers)
    assert first.status_code == 202
    outcome = {"result": "rejected", "reason": "amount_too_large"}
    valkey.set(f"command:{first.json()['command_id']}", msgspec.json.encode(outcome))
    again = api.http.post(path, json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (422, "amount_too_large")


def test_head_is_get_without_the_content(api: RunningApi, shop: Shop, kafka_broker: str) -> None:
    path = f"/v1/payments/{created(api, shop, kafka_broker).payment_id}"
    got = api.http.get(path, headers=shop.headers())
    head = api.http.head(path, headers=shop.headers())
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert api.http.head("/v1/payments").status_code == 405


@pytest.mark.parametrize("action", ["refunds", "capture"])
@pytest.mark.parametrize("body", [b"null", b'{"amount": null}'])
def test_null_does_not_mean_everything(
    api: RunningApi, shop: Shop, kafka_broker: str, action: str, body: bytes
) -> None:
    payment = created(api, shop, kafka_broker)
    headers = shop.headers() | {"Content-Type": "application/json"}
    path = f"/v1/payments/{payment.payment_id}/{action}"
    assert api.http.post(path, content=body, headers=headers).status_code == 400
    assert len(stored_commands(kafka_broker, payment.payment_id)) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/xml"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 202),
    ],
)
def test_a_body_must_be_json(
    api: RunningApi, shop: Shop, headers: dict[str, str], status: int
) -> None:
    content = msgspec.json.encode(PAYMENT)
    sent = shop.headers() | headers
    assert api.http.post("/v1/payments", content=content, headers=sent).status_code == status


@pytest.mark.parametrize("payment_id", ["pay_x", "..%2F..", "pay_" + "0" * 300])
def test_unknown_payments(api: RunningApi, shop: Shop, payment_id: str) -> None:
    for answer in (
        api.http.get(f"/v1/payments/{payment_id}", headers=shop.headers()),
        api.http.post(f"/v1/payments/{payment_id}/void", headers=shop.headers()),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("capture", None, {"kind": "capture", "amount_minor": None, "final": None}),
        ("capture", {"amount": 500, "final": True}, {"amount_minor": 500, "final": True}),
        ("void", {}, {"kind": "void"}),
        ("refunds", {"amount": 7}, {"kind": "refund", "amount_minor": 7}),
        ("complete_action", None, {"kind": "complete_action"}),
    ],
)
def test_commands_about_a_payment(
    api: RunningApi,
    shop: Shop,
    kafka_broker: str,
    action: str,
    body: dict[str, object] | None,
    expected: dict[str, object],
) -> None:
    payment = created(api, shop, kafka_broker)
    path = f"/v1/payments/{payment.payment_id}/{action}"
    headers = shop.headers()
    first = api.http.post(path, json=body, headers=headers)
    again = api.http.post(path, json=body, headers=headers)
    assert first.status_code == again.status_code == 202, first.text
    assert first.content == again.content
    assert first.headers["Location"] == f"/v1/payments/{payment.payment_id}"
    assert again.headers["Idempotent-Replayed"] == "true"

    [_, (_, command), *_] = stored_commands(kafka_broker, payment.payment_id)
    fields = msgspec.structs.asdict(command)
    assert {name: fields[name] for name in expected} == expected
    assert command.command_id == first.json()["command_id"]
    key = headers["Idempotency-Key"]
    assert command.command_id == ids.command_id(payment.payment_id, command.kind, key)
    assert command.refund_id == first.json().get("refund_id")
    assert (command.refund_id is not None) == (action == "refunds")


def test_another_capture_with_the_same_key_is_refused(
    api: RunningApi, shop: Shop, kafka_broker: str
) -> None:
    payment = created(api, shop, kafka_broker)
    path = f"/v1/payments/{payment.payment_id}/capture"
    headers = shop.headers()
    assert api.http.post(path, json={"amount": 5}, headers=headers).status_code == 202
    answer = api.http.post(path, json={"amount": 6}, headers=headers)
    assert answer.json()["code"] == "idempotency_mismatch"


def test_waiting_ends_with_the_outcome(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    headers = shop.headers(Prefer="wait=10")
    key = headers["Idempotency-Key"]
    payment_id = ids.payment_id(shop.merchant.merchant_id, "test", key)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.http.post, "/v1/payments", json=PAYMENT, headers=headers)
        eventually(lambda: stored_commands(kafka_broker, payment_id), "the command is in Kafka")
        [(_, command)] = stored_commands(kafka_broker, payment_id)
        valkey.set(f"payment:{payment_id}", view(command, status="authorizing", sequence=1))
        valkey.set(f"payment:{payment_id}", view(command, status="declined", sequence=2))
        answer = waiting.result(20)
    assert (answer.status_code, answer.json()["status"]) == (200, "declined")
    assert answer.headers["Preference-Applied"] == "wait=10"


def test_waiting_is_bounded(api: RunningApi, shop: Shop) -> None:
    answer = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers(Prefer="wait=1"))
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ({"result": "applied"}, 200, None),
        ({"result": "rejected", "reason": "wrong_state"}, 409, "wrong_state"),
        ({"result": "rejected", "reason": "amount_too_large"}, 422, "amount_too_large"),
        ({"result": "rejected", "reason": "no_such_payment"}, 404, "not_found"),
        ({"result": "rejected", "reason": "new_reason"}, 409, "command_rejected"),
    ],
)
def test_waiting_for_a_command(
    api: RunningApi,
    shop: Shop,
    kafka_broker: str,
    valkey: Redis,
    outcome: dict[str, str],
    status: int,
    code: str | None,
) -> None:
    payment = created(api, shop, kafka_broker)
    headers = shop.headers(Prefer="wait=10")
    command_id = ids.command_id(payment.payment_id, "capture", headers["Idempotency-Key"])
    valkey.set(f"payment:{payment.payment_id}", view(payment))
    path = f"/v1/payments/{payment.payment_id}/capture"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.http.post, path, headers=headers)
        eventually(
            lambda: len(stored_commands(kafka_broker, payment.payment_id)) == 2, "it is in Kafka"
        )
        valkey.set(f"command:{command_id}", msgspec.json.encode(outcome))
        answer = waiting.result(20)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_an_unreadable_view_is_no_fault_of_the_client(
    api: RunningApi, shop: Shop, kafka_broker: str, valkey: Redis
) -> None:
    command = created(api, shop, kafka_broker)
    path = f"/v1/payments/{command.payment_id}"
    valkey.set(f"payment:{command.payment_id}", b"{")
    assert api.http.get(path, headers=shop.headers()).status_code == 503
    assert api.http.post(f"{path}/void", headers=shop.headers()).status_code == 202


def test_metrics_count_what_was_acknowledged(api: RunningApi, shop: Shop) -> None:
    def count() -> float:
        lines = api.http.get("/metrics").text.splitlines()
        name = 'paystream_api_commands_total{kind="create"}'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = count()
    api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers())
    assert count() == before + 1
