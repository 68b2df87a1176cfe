"""Keys of a merchant over HTTP: several at once, scopes, rotation with an end, revocation."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from api_process import (
    ADMIN_TOKEN,
    PAYMENT,
    RunningApi,
    create_topics,
    merchant_agent,
    register,
    running_api,
)
from polling import eventually

from devstack.services import valkey
from devstack.services.child import Child
from devstack.services.ports import free_port
from paystream.cli.keys import NewKey, keys
from paystream.cli.merchant import Terms, merchant
from paystream.cli.output import CliError
from runtime.id_generator import new_id

pytestmark = pytest.mark.services

OPERATOR = {
    "Authorization": f"Bearer {ADMIN_TOKEN}",
    "Paystream-Actor": "ada",
    "Paystream-Reason": "ticket 17",
}
REVOKED_SECONDS_MAX = 5.0


@pytest.fixture(scope="module")
def api(
    kafka_broker: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    create_topics(kafka_broker)
    with (
        merchant_agent(kafka_broker),
        running_api(kafka_broker, valkey_url, tmp_path_factory.mktemp("api")) as running,
    ):
        yield running


class Caller:
    """Requests of one key."""

    def __init__(self, http: httpx2.Client, headers: dict[str, str]) -> None:
        self.http, self.headers = http, headers

    def get(self, path: str) -> httpx2.Response:
        return self.http.get(path, headers=self.headers)

    def post(self, path: str, body: Any = None, key: str = "") -> httpx2.Response:
        headers = self.headers | {"Idempotency-Key": key or new_id("k-")}
        return self.http.post(path, json={} if body is None else body, headers=headers)

    def delete(self, path: str) -> httpx2.Response:
        return self.http.delete(path, headers=self.headers)

    def patch(self, path: str, body: Any) -> httpx2.Response:
        return self.http.patch(path, json=body, headers=self.headers)


def caller(api: RunningApi, api_key: str) -> Caller:
    return Caller(api.http, {"Authorization": f"Bearer {api_key}"})


@pytest.fixture
def shop(api: RunningApi) -> dict[str, Any]:
    """A registered merchant with its first keys."""
    made: dict[str, Any] = register(api).json()
    return made


@pytest.fixture
def test_mode(api: RunningApi, shop: dict[str, Any]) -> Caller:
    return caller(api, shop["api_keys"]["test"])


@pytest.fixture
def operator(api: RunningApi) -> Caller:
    return Caller(api.http, OPERATOR)


def test_a_key_is_issued_listed_without_its_secret_and_revoked(
    api: RunningApi, test_mode: Caller
) -> None:
    issued = test_mode.post("/v1/api_keys", {"scopes": ["read"], "label": "dashboard"}, "key-1")
    assert issued.status_code == 201, issued.text
    made = issued.json()
    assert made["api_key"].startswith("sk_test_")
    again = test_mode.post("/v1/api_keys", {"scopes": ["read"], "label": "dashboard"}, "key-1")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == made | {"api_key": None}
    other = test_mode.post("/v1/api_keys", {"scopes": ["write"]}, "key-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")

    listed = test_mode.get("/v1/api_keys")
    assert made["api_key"] not in listed.text
    [found] = [key for key in listed.json() if key["id"] == made["id"]]
    assert (found["label"], found["scopes"], found["mode"]) == ("dashboard", ["read"], "test")

    fresh = caller(api, made["api_key"])
    assert fresh.get("/v1/webhook_endpoints").status_code == 200
    assert test_mode.delete(f"/v1/api_keys/{made['id']}").status_code == 204
    assert fresh.get("/v1/webhook_endpoints").status_code == 401
    assert test_mode.get("/v1/webhook_endpoints").status_code == 200
    assert test_mode.delete(f"/v1/api_keys/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("scopes", "method", "path", "body", "missing"),
    [
        (["write"], "GET", "/v1/webhook_endpoints", None, "read"),
        (["write"], "GET", "/v1/api_keys", None, "read"),
        (["write"], "GET", f"/v1/payments/pay_{'0' * 26}", None, "read"),
        (["read"], "POST", "/v1/payments", PAYMENT, "write"),
        (["read", "refunds"], "POST", f"/v1/payments/pay_{'0' * 26}/capture", {}, "write"),
        (["read", "write"], "POST", f"/v1/payments/pay_{'0' * 26}/refunds", {}, "refunds"),
        (["read", "write", "refunds"], "POST", "/v1/payouts", {}, "payouts"),
        (["read"], "POST", "/v1/api_keys", {"scopes": ["read"]}, "write"),
        (["write"], "POST", "/v1/api_keys", {"scopes": ["payouts"]}, "payouts"),
        (["read"], "DELETE", "/v1/api_keys/key_x", None, "write"),
        (["read", "write", "refunds"], "POST", "/v1/producer_keys", {}, "payouts"),
    ],
)
def test_a_scope_that_is_missing_is_named(
    api: RunningApi,
    test_mode: Caller,
    scopes: list[str],
    method: str,
    path: str,
    body: Any,
    missing: str,
) -> None:
    key = test_mode.post("/v1/api_keys", {"scopes": scopes}).json()["api_key"]
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": new_id("k-")}
    answer = api.http.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert f"scope {missing};" in answer.json()["detail"]


def test_a_rotated_key_works_for_the_overlap_and_then_has_ended(
    api: RunningApi, test_mode: Caller
) -> None:
    old = test_mode.post("/v1/api_keys", {"scopes": ["read"]}).json()
    path = f"/v1/api_keys/{old['id']}/rotate"
    new = test_mode.post(path, {"overlap_seconds": 2})
    assert new.status_code == 201, new.text
    assert (new.json()["scopes"], new.json()["mode"]) == (["read"], "test")
    callers = [caller(api, made["api_key"]) for made in (old, new.json())]
    assert [c.get("/v1/webhook_endpoints").status_code for c in callers] == [200, 200]
    eventually(lambda: callers[0].get("/v1/webhook_endpoints").status_code == 401, "the end")
    assert callers[1].get("/v1/webhook_endpoints").status_code == 200


def test_a_test_key_sees_and_touches_nothing_of_live(
    api: RunningApi, shop: dict[str, Any], test_mode: Caller
) -> None:
    live = caller(api, shop["api_keys"]["live"])
    key = live.post("/v1/api_keys", {"scopes": ["read"]}).json()
    url = {"url": "https://shop.example/live"}
    endpoint = live.post("/v1/webhook_endpoints", url).json()
    public = base64.b64encode(bytes(range(32))).decode()
    producer = live.post("/v1/producer_keys", {"public_key": public}).json()
    payment = live.post("/v1/payments", PAYMENT).json()

    assert {k["mode"] for k in test_mode.get("/v1/api_keys").json()} == {"test"}
    assert test_mode.get("/v1/webhook_endpoints").json() == []
    assert test_mode.get("/v1/producer_keys").json() == []
    for path in (
        f"/v1/api_keys/{key['id']}",
        f"/v1/webhook_endpoints/{endpoint['id']}",
        f"/v1/producer_keys/{producer['id']}",
    ):
        assert test_mode.delete(path).status_code == 404
    assert test_mode.post(f"/v1/api_keys/{key['id']}/rotate").status_code == 404
    assert test_mode.get(f"/v1/payments/{payment['id']}").status_code == 404
    # Not in Valkey: it may be lost there, so the worker answers, which knows the payment's mode.
    assert test_mode.post(f"/v1/payments/{payment['id']}/refunds").status_code == 202
    assert test_mode.post("/v1/payouts", {"mode": "live"}).status_code == 403
    asked = {"scopes": ["read"], "mode": "live"}
    assert test_mode.post("/v1/api_keys", asked).status_code == 403
    assert [k["id"] for k in live.get("/v1/producer_keys").json()] == [producer["id"]]


def test_an_endpoint_of_both_modes_is_removed_with_a_live_key(api: RunningApi) -> None:
    made = register(api, webhook_url="https://shop.example/hooks").json()
    path = f"/v1/webhook_endpoints/{made['webhook_endpoint']['id']}"
    assert caller(api, made["api_keys"]["test"]).delete(path).status_code == 403
    assert caller(api, made["api_keys"]["live"]).delete(path).status_code == 204


def test_producer_keys_come_and_go(test_mode: Caller) -> None:
    public = base64.b64encode(b"k" * 32).decode()
    added = test_mode.post("/v1/producer_keys", {"public_key": public, "label": "till"}, "p-1")
    assert added.status_code == 201, added.text
    again = test_mode.post("/v1/producer_keys", {"public_key": public, "label": "till"}, "p-1")
    assert (again.status_code, again.json()) == (200, added.json())
    twice = test_mode.post("/v1/producer_keys", {"public_key": public})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_exists")
    [listed] = test_mode.get("/v1/producer_keys").json()
    assert (listed["public_key"], listed["label"], listed["mode"]) == (public, "till", "test")
    path = f"/v1/producer_keys/{listed['id']}"
    assert test_mode.delete(path).status_code == 204
    assert test_mode.delete(path).status_code == 404


def test_operators_manage_the_keys_of_both_modes(
    api: RunningApi, shop: dict[str, Any], operator: Caller, test_mode: Caller
) -> None:
    path = f"/v1/merchants/{shop['id']}"
    assert operator.post(f"{path}/api_keys", {"scopes": ["read"]}).status_code == 400
    asked = {"scopes": ["read"], "mode": "live"}
    issued = operator.post(f"{path}/api_keys", asked)
    assert (issued.status_code, issued.json()["mode"]) == (201, "live")
    rotated = operator.post(f"{path}/api_keys/{issued.json()['id']}/rotate")
    assert rotated.status_code == 201
    assert {k["mode"] for k in operator.get(f"{path}/api_keys").json()} == {"test", "live"}
    assert operator.delete(f"{path}/api_keys/{rotated.json()['id']}").status_code == 204
    assert caller(api, rotated.json()["api_key"]).get("/v1/api_keys").status_code == 401
    for route in ("", "/api_keys", "/producer_keys"):
        assert test_mode.get(f"{path}{route}").status_code == 403
    assert operator.get("/v1/merchants/mer_nobody").status_code == 404


def test_a_suspended_merchant_may_do_nothing_until_it_is_active_again(
    shop: dict[str, Any], operator: Caller, test_mode: Caller
) -> None:
    path = f"/v1/merchants/{shop['id']}"
    assert operator.patch(path, {"status": "suspended"}).json()["status"] == "suspended"
    refused = test_mode.post("/v1/payments", PAYMENT)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert operator.patch(path, {"status": "active"}).status_code == 200
    assert test_mode.get("/v1/webhook_endpoints").status_code == 200
    assert operator.patch(path, {"modes": ["live"]}).json()["modes"] == ["live"]
    assert test_mode.get("/v1/webhook_endpoints").status_code == 403
    assert operator.patch(path, {"status": "closed"}).status_code == 200
    closed = operator.patch(path, {"status": "active"})
    assert (closed.status_code, closed.json()["code"]) == (409, "wrong_state")


def test_a_payment_above_the_merchants_limit_is_refused(
    shop: dict[str, Any], operator: Caller, test_mode: Caller
) -> None:
    limits = {"limits": {"payment_amount_max": PAYMENT["amount"]}}
    changed = operator.patch(f"/v1/merchants/{shop['id']}", limits)
    assert changed.json()["limits"]["payment_amount_max"] == PAYMENT["amount"]
    assert test_mode.post("/v1/payments", PAYMENT).status_code == 202
    above = test_mode.post("/v1/payments", PAYMENT | {"amount": 2000})
    assert (above.status_code, above.json()["code"]) == (422, "amount_too_large")


def test_a_revoked_key_is_refused_by_every_process_also_with_valkey_away(
    kafka_broker: str, tmp_path: Path
) -> None:
    create_topics(kafka_broker)
    port = free_port()
    store = Child(valkey.launch(tmp_path / "valkey", port, tmp_path))
    with ExitStack() as stack:
        stack.callback(store.kill_group)
        store.wait_ready()
        stack.enter_context(merchant_agent(kafka_broker))
        processes = [
            stack.enter_context(running_api(kafka_broker, valkey.url(port), tmp_path))
            for _ in range(2)
        ]
        made = register(processes[0]).json()
        callers = [caller(each, made["api_keys"]["test"]) for each in processes]
        issued = callers[0].post("/v1/api_keys", {"scopes": ["read"]}).json()
        stolen = [caller(each, issued["api_key"]) for each in processes]
        eventually(
            lambda: all(c.get("/v1/webhook_endpoints").status_code == 200 for c in stolen),
            "both processes know the key",
        )
        store.kill_group()
        began = time.monotonic()
        assert callers[0].delete(f"/v1/api_keys/{issued['id']}").status_code == 204
        eventually(
            lambda: all(c.get("/v1/webhook_endpoints").status_code == 401 for c in stolen),
            "no process takes the key",
        )
        assert time.monotonic() - began < REVOKED_SECONDS_MAX


def test_the_command_line_manages_keys_and_merchants(
    api: RunningApi, shop: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = tmp_path / "env"
    env.write_text(f"API_URL={api.http.base_url}\nADMIN_TOKEN={ADMIN_TOKEN}\n")
    merchant_id = shop["id"]
    common: dict[str, Any] = {"reason": "ticket 17", "actor": "ada", "env_file": env}

    def output() -> Any:
        return json.loads(capsys.readouterr().out)

    new = NewKey(scopes="read, refunds", mode="test")
    assert keys("issue", merchant_id, new=new, json=True, **common) == 0
    issued = output()
    assert caller(api, issued["api_key"]).get("/v1/api_keys").status_code == 200
    assert keys("list", merchant_id, json=True, env_file=env) == 0
    listed = {key["id"]: key for key in output()}
    assert listed[issued["id"]]["scopes"] == ["read", "refunds"]
    at_once = NewKey(overlap_seconds=0)
    assert keys("rotate", merchant_id, issued["id"], new=at_once, json=True, **common) == 0
    rotated = output()
    assert caller(api, issued["api_key"]).get("/v1/api_keys").status_code == 401
    assert keys("revoke", merchant_id, rotated["id"], **common) == 0
    assert "removed: True" in capsys.readouterr().out
    assert caller(api, rotated["api_key"]).get("/v1/api_keys").status_code == 401
    public = base64.b64encode(b"c" * 32).decode()
    assert (
        keys("add-producer", merchant_id, new=NewKey(public_key=public), json=True, **common) == 0
    )
    assert keys("remove-producer", merchant_id, output()["id"], **common) == 0
    capsys.readouterr()

    assert merchant("suspend", merchant_id, **common) == 0
    assert output()["status"] == "suspended"
    terms = Terms(modes="live", payment_amount_max=500)
    assert merchant("change", merchant_id, terms=terms, **common) == 0
    changed = output()
    assert (changed["modes"], changed["limits"]["payment_amount_max"]) == (["live"], 500)
    with pytest.raises(CliError, match="reason is missing"):
        merchant("close", merchant_id, env_file=env)
    with pytest.raises(CliError, match="does not exist"):
        keys("revoke", merchant_id, "key_none", **common)
