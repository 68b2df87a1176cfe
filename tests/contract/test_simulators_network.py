"""The card network's promises: rules, idempotency, 3-D Secure, scripted time-outs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from simulator_process import Running, Start

pytestmark = pytest.mark.services


def authorize(network: Running, key: str, card: str = "approve", **more: Any) -> httpx2.Response:
    body = {"amount_minor": 1000, "currency": "EUR", "card": network.encrypt(card), **more}
    return operate(network, key, "authorize", **body)


def operate(network: Running, key: str, operation: str, **body: Any) -> httpx2.Response:
    request = {"idempotency_key": key, "operation": operation, "currency": "EUR", **body}
    return network.http.post("/v1/operations", json=request)


def approved(network: Running, key: str, **more: Any) -> str:
    answer = authorize(network, key, **more).json()
    assert answer["outcome"] == "approved"
    return str(answer["network_reference"])


def follow(network: Running, key: str, operation: str, reference: str, amount: int) -> dict:
    answer = operate(network, key, operation, network_reference=reference, amount_minor=amount)
    return answer.raise_for_status().json()


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("decline_generic", "generic_decline"),
        ("decline_funds", "insufficient_funds"),
        ("decline_expired", "expired_card"),
    ],
)
def test_a_scripted_card_is_declined_with_its_code(
    start_simulator: Start, card: str, code: str
) -> None:
    answer = authorize(start_simulator("network"), "key", card).json()
    assert (answer["outcome"], answer["decline_code"]) == ("declined", code)


@pytest.mark.parametrize("token", ["no.jwe", "", None])
def test_a_card_that_cannot_be_read_is_declined(start_simulator: Start, token: str | None) -> None:
    network = start_simulator("network")
    answer = operate(network, "key", "authorize", amount_minor=5, card=token).json()
    assert (answer["outcome"], answer["decline_code"]) == ("declined", "card_not_readable")


def test_a_card_without_a_number_is_not_readable(start_simulator: Start) -> None:
    network = start_simulator("network")
    token = network.encrypt_text('{"digits": 1}')
    answer = operate(network, "key", "authorize", amount_minor=5, card=token).json()
    assert answer["decline_code"] == "card_not_readable"


def test_captures_stay_within_the_authorization_and_refunds_within_captures(
    start_simulator: Start,
) -> None:
    network = start_simulator("network")
    reference = approved(network, "auth")
    steps = [
        ("refund", 1, "failed", "amount_exceeds_captured"),
        ("capture", 600, "approved", None),
        ("capture", 401, "failed", "amount_exceeds_authorized"),
        ("capture", 400, "approved", None),
        ("capture", 1, "failed", "amount_exceeds_authorized"),
        ("void", 0, "failed", "already_captured"),
        ("refund", 300, "approved", None),
        ("refund", 701, "failed", "amount_exceeds_captured"),
        ("refund", 700, "approved", None),
        ("capture", 0, "failed", "amount_invalid"),
    ]
    answers = [
        follow(network, f"step-{number}", operation, reference, amount)
        for number, (operation, amount, _, _) in enumerate(steps)
    ]
    assert [(a["outcome"], a.get("decline_code")) for a in answers] == [s[2:] for s in steps]
    assert network.http.get("/summary").json()["charged_minor"] == {"EUR": 1000}
    assert network.http.get("/summary").json()["refunded_minor"] == {"EUR": 1000}


def test_nothing_is_captured_after_a_void_or_without_an_authorization(
    start_simulator: Start,
) -> None:
    network = start_simulator("network")
    reference = approved(network, "auth")
    declined = authorize(network, "no", "decline_funds").json()["network_reference"]
    assert follow(network, "void", "void", reference, 0)["outcome"] == "approved"
    assert follow(network, "again", "void", reference, 0)["decline_code"] == "already_voided"
    assert follow(network, "late", "capture", reference, 5)["decline_code"] == "already_voided"
    assert follow(network, "bad", "capture", declined, 5)["decline_code"] == "not_authorized"
    assert follow(network, "none", "capture", "net_x", 5)["decline_code"] == "unknown_reference"
    other = operate(
        network, "usd", "capture", network_reference=reference, amount_minor=5, currency="USD"
    )
    assert other.json()["outcome"] == "failed"


def test_a_void_after_a_partial_capture_releases_the_rest_only(start_simulator: Start) -> None:
    network = start_simulator("network")
    reference = approved(network, "auth")
    assert follow(network, "part", "capture", reference, 400)["outcome"] == "approved"
    assert follow(network, "void", "void", reference, 600)["outcome"] == "approved"
    assert follow(network, "late", "capture", reference, 1)["decline_code"] == "already_voided"
    assert follow(network, "back", "refund", reference, 400)["outcome"] == "approved"
    assert network.http.get("/summary").json()["charged_minor"] == {"EUR": 400}


def test_the_same_key_and_body_have_one_effect_also_at_the_same_time(
    start_simulator: Start,
) -> None:
    network = start_simulator("network", latency_p50_ms=20, latency_p99_ms=40)
    reference = approved(network, "auth")
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: follow(network, "one", "capture", reference, 100), range(32))
        )
    assert answers == [{"outcome": "approved", "network_reference": reference}] * 32
    [line] = [line for line in network.log() if line["operation"] == "capture"]
    assert (line["requests"], line["amount_minor"]) == (32, 100)


def test_the_same_key_with_another_body_is_a_conflict(start_simulator: Start) -> None:
    network = start_simulator("network")
    reference = approved(network, "auth")
    follow(network, "one", "capture", reference, 100)
    conflict = operate(network, "one", "capture", network_reference=reference, amount_minor=101)
    assert conflict.status_code == 409
    assert "new key" in conflict.json()["message"]
    assert network.http.get("/summary").json()["charged_minor"] == {"EUR": 100}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"operation":"authorize"}', b'{"idempotency_key":"k","operation":"status"}'],
)
def test_a_body_that_does_not_fit_is_refused_with_the_reason(
    start_simulator: Start, body: bytes
) -> None:
    answer = start_simulator("network").http.post("/v1/operations", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "body_invalid"


@pytest.mark.parametrize(
    ("result", "outcome", "code"),
    [("success", "approved", None), ("failure", "declined", "authentication_failed")],
)
def test_the_customer_answers_a_3d_secure_question(
    start_simulator: Start, result: str, outcome: str, code: str | None
) -> None:
    network = start_simulator("network")
    card = network.encrypt("three_d_secure")
    body = {"amount_minor": 1000, "currency": "EUR", "card": card}
    first = operate(network, "auth", "authorize", **body).json()
    assert first["outcome"] == "requires_action"
    early = follow(network, "early", "capture", first["network_reference"], 5)
    assert early["decline_code"] == "not_authorized"
    assert "<button" in network.http.get(first["action_url"]).text
    network.http.post(first["action_url"], json={"result": result}).raise_for_status()
    again = operate(network, "auth", "authorize", **body).json()
    assert (again["outcome"], again.get("decline_code")) == (outcome, code)
    assert network.http.get("/v1/operations/auth").json() == again
    other = "failure" if result == "success" else "success"
    assert network.http.post(first["action_url"], json={"result": other}).status_code == 409


def test_the_form_sends_the_customer_back_to_the_merchant(start_simulator: Start) -> None:
    network = start_simulator("network")
    back = "http://127.0.0.1:1/thanks"
    url = authorize(network, "auth", "three_d_secure", return_url=back).json()["action_url"]
    answer = network.http.post(url, data={"result": "success"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert network.http.post(url, data={"result": "maybe"}).status_code == 400
    assert network.http.get("/actions/act_none").status_code == 404


@pytest.mark.parametrize(
    ("card", "status_after"), [("time_out_with_effect", 200), ("time_out_without_effect", 404)]
)
def test_only_the_first_request_of_a_time_out_card_hangs(
    start_simulator: Start, card: str, status_after: int
) -> None:
    network = start_simulator("network", hold_seconds=60)
    body = {"amount_minor": 1000, "currency": "EUR", "card": network.encrypt(card)}
    request = {"idempotency_key": "auth", "operation": "authorize", **body}
    with pytest.raises(httpx2.ReadTimeout):
        network.http.post("/v1/operations", json=request, timeout=0.5)
    assert network.http.get("/v1/operations/auth").status_code == status_after
    assert network.http.post("/v1/operations", json=request).json()["outcome"] == "approved"
    assert [line["requests"] for line in network.log()] == [2]


def test_a_held_caller_gets_a_closed_connection_at_the_end(start_simulator: Start) -> None:
    network = start_simulator("network", hold_seconds=0.2)
    with pytest.raises(httpx2.RemoteProtocolError):
        authorize(network, "auth", "time_out_with_effect")
    assert [line["outcome"] for line in network.log()] == ["approved"]


def test_a_capture_can_time_out_after_it_charged(start_simulator: Start) -> None:
    network = start_simulator("network", hold_seconds=0.2)
    reference = approved(network, "auth", card="capture_time_out_with_effect")
    with pytest.raises(httpx2.RemoteProtocolError):
        follow(network, "cap", "capture", reference, 1000)
    assert follow(network, "cap", "capture", reference, 1000)["outcome"] == "approved"
    assert network.http.get("/summary").json()["charged_minor"] == {"EUR": 1000}


def test_scripted_captures_and_refunds_are_declined(start_simulator: Start) -> None:
    network = start_simulator("network")
    no_capture = approved(network, "a", card="capture_declined")
    assert follow(network, "c", "capture", no_capture, 5)["outcome"] == "declined"
    no_refund = approved(network, "b", card="refund_declined")
    assert follow(network, "d", "capture", no_refund, 5)["outcome"] == "approved"
    assert follow(network, "e", "refund", no_refund, 5)["outcome"] == "declined"


def test_faults_leave_at_most_one_effect_and_end_for_whoever_retries(
    start_simulator: Start,
) -> None:
    network = start_simulator("network", faults=0.5, lost_answers=0.3)
    card = network.encrypt("approve")
    failures = 0
    for number in range(20):
        body = {"amount_minor": 1 + number, "currency": "EUR", "card": card}
        for _ in range(50):
            try:
                answer = operate(network, f"auth-{number}", "authorize", **body)
            except httpx2.TransportError:
                failures += 1
                continue
            if answer.status_code == 200:
                break
            failures += 1
        assert answer.json()["outcome"] == "approved"
    assert [line["amount_minor"] for line in network.log()] == list(range(1, 21))
    faults = network.http.get("/summary").json()["faults"]
    assert sum(faults.values()) == failures
    assert set(faults) == {"refused", "failed_after_effect", "lost_answer"}


def test_no_card_number_is_kept(start_simulator: Start, tmp_path: Any) -> None:
    network = start_simulator("network")
    approved(network, "auth")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not [path for path in files if b"4242424242424242" in path.read_bytes()]


def test_metrics_count_answers(start_simulator: Start) -> None:
    network = start_simulator("network")
    approved(network, "auth")
    operate(network, "auth", "authorize", amount_minor=1)
    text = network.http.get("/metrics").text
    assert 'simulator_requests_total{simulator="network",status="409"} 1.0' in text
