"""The webhook receiver's promises: scripted endpoints, verified signatures, a log of attempts."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from simulator_process import Running, Start
from standardwebhooks.webhooks import Webhook

pytestmark = pytest.mark.services

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1lbmRwb2ludA=="
OTHER_SECRET = "whsec_" + "YW5vdGhlci1zZWNyZXQtZW50aXJlbHk="


def deliver(
    receiver: Running, endpoint: str, webhook_id: str = "evt_1", secret: str = SECRET
) -> httpx2.Response:
    body, now = '{"type":"payment.captured"}', datetime.now(UTC)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, now, body),
    }
    return receiver.http.post(f"/hooks/{endpoint}", content=body, headers=headers)


@pytest.mark.parametrize(
    ("endpoint", "statuses"),
    [
        ("ok-shop", [200] * 5),
        ("slow-shop", [200] * 5),
        ("fail3-shop", [500, 500, 500, 200, 200]),
        ("down-shop", [500] * 5),
        ("gone-shop", [410] * 5),
        ("unscripted", [404] * 5),
    ],
)
def test_endpoints_follow_their_script(
    start_simulator: Start, endpoint: str, statuses: list[int]
) -> None:
    receiver = start_simulator("receiver", slow_seconds=0.05)
    assert [deliver(receiver, endpoint).status_code for _ in range(5)] == statuses
    assert [line["status"] for line in receiver.log()] == statuses


def test_the_first_attempts_of_each_webhook_fail(start_simulator: Start) -> None:
    receiver = start_simulator("receiver")
    statuses = [deliver(receiver, "fail3-x", f"evt_{n % 2}").status_code for n in range(8)]
    assert statuses == [500] * 6 + [200] * 2
    summary = receiver.http.get("/summary").json()
    assert (summary["attempts"], summary["webhooks"], summary["delivered"]) == (8, 2, 2)


def test_signatures_are_verified_once_a_secret_is_known(start_simulator: Start) -> None:
    receiver = start_simulator("receiver")
    deliver(receiver, "ok-a", "evt_1")
    receiver.http.post("/secrets/hooks/ok-a", json={"secret": SECRET}).raise_for_status()
    deliver(receiver, "ok-a", "evt_2")
    deliver(receiver, "ok-a", "evt_3", OTHER_SECRET)
    receiver.http.post("/secrets/ok-a", json={"secret": OTHER_SECRET}).raise_for_status()
    deliver(receiver, "ok-a", "evt_4", OTHER_SECRET)
    deliver(receiver, "ok-a", "evt_5", SECRET)
    receiver.http.post("/hooks/ok-a", content=b"\xff not signed")
    assert [line["verified"] for line in receiver.log()] == [None, True, False, True, True, False]


def test_the_log_keeps_body_and_headers(start_simulator: Start) -> None:
    receiver = start_simulator("receiver")
    deliver(receiver, "ok-a")
    [line] = receiver.log()
    assert (line["path"], line["webhook_id"]) == ("/hooks/ok-a", "evt_1")
    assert line["body"] == '{"type":"payment.captured"}'
    assert line["webhook_signature"].startswith("v1,")


def test_a_secret_that_is_none_is_refused(start_simulator: Start) -> None:
    receiver = start_simulator("receiver")
    answer = receiver.http.post("/secrets/ok-a", json={"secret": "whsec_"})
    assert (answer.status_code, answer.json()["error"]) == (400, "secret_invalid")
