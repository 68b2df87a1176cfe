"""What a simulator answered is there after kill -9; SIGTERM ends it cleanly and at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from simulator_process import Running, Start

from devstack.services.child import ChildFailedError

pytestmark = pytest.mark.services


def pay(bank: Running, key: str) -> bool:
    """Whether the bank answered."""
    body = {"idempotency_key": key, "account": "DE00", "amount_minor": 1, "currency": "EUR"}
    try:
        return bank.http.post("/v1/payouts", json=body).status_code == 200
    except httpx2.TransportError:
        return False


def keys_until(stop: list[bool], name: int) -> Iterator[str]:
    """Keys until somebody stops it."""
    number = 0
    while not stop:
        yield f"payout-{name}-{number}"
        number += 1


def test_every_answered_payout_survives_kill_9(start_simulator: Start) -> None:
    bank, stop = start_simulator("bank"), []

    def client(name: int) -> list[str]:
        return [key for key in keys_until(stop, name) if pay(bank, key)]

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client, name) for name in range(8)]
        time.sleep(1.0)
        bank.kill()
        stop.append(True)
        answered = {key for done in clients for key in done.result()}
    assert len(answered) > 50
    logged = [line["idempotency_key"] for line in start_simulator("bank").log()]
    assert answered <= set(logged)
    assert len(logged) == len(set(logged))


def test_a_restarted_network_is_the_same_network(start_simulator: Start) -> None:
    network = start_simulator("network")
    card = network.encrypt("three_d_secure")
    body = {
        "idempotency_key": "auth",
        "operation": "authorize",
        "amount_minor": 100,
        "currency": "JPY",
        "card": card,
    }
    url = network.http.post("/v1/operations", json=body).json()["action_url"]
    network.http.post(url, json={"result": "success"}).raise_for_status()
    reference = network.http.post("/v1/operations", json=body).json()["network_reference"]
    before = network.log_text()
    network.kill()
    again = start_simulator("network")
    assert again.log_text() == before
    capture = body | {"idempotency_key": "c", "operation": "capture", "amount_minor": 60}
    capture["network_reference"] = reference
    assert again.http.post("/v1/operations", json=capture).json()["outcome"] == "approved"
    assert again.http.post("/v1/operations", json=body).json()["outcome"] == "approved"
    assert again.http.get("/summary").json()["charged_minor"] == {"JPY": 60}


def test_the_receiver_counts_attempts_over_a_restart(start_simulator: Start) -> None:
    receiver = start_simulator("receiver")
    for _ in range(3):
        receiver.http.post("/hooks/fail3-a", headers={"webhook-id": "evt"}, content=b"{}")
    receiver.kill()
    again = start_simulator("receiver")
    answer = again.http.post("/hooks/fail3-a", headers={"webhook-id": "evt"}, content=b"{}")
    assert answer.status_code == 200
    assert [line["attempt"] for line in again.log()] == [1, 2, 3, 4]


def test_a_torn_last_line_is_dropped_and_the_log_goes_on(
    start_simulator: Start, tmp_path: Path
) -> None:
    bank = start_simulator("bank")
    assert pay(bank, "whole")
    bank.kill()
    with (tmp_path / "bank" / "bank.log").open("ab") as log:
        log.write(b'{"kind":"payout","idempotency_key":"torn"')
    again = start_simulator("bank")
    assert pay(again, "next")
    again.kill()
    assert [line["idempotency_key"] for line in start_simulator("bank").log()] == ["whole", "next"]


def test_a_changed_log_is_a_clear_error(start_simulator: Start, tmp_path: Path) -> None:
    bank = start_simulator("bank")
    pay(bank, "one")
    bank.kill()
    log = tmp_path / "bank" / "bank.log"
    log.write_bytes(b"not json\n" + log.read_bytes())
    with pytest.raises(ChildFailedError, match="line 1 cannot be read"):
        start_simulator("bank")


def test_sigterm_ends_held_requests_and_exits_0(start_simulator: Start) -> None:
    network = start_simulator("network", hold_seconds=120)
    body = {
        "idempotency_key": "auth",
        "operation": "authorize",
        "amount_minor": 100,
        "currency": "EUR",
        "card": network.encrypt("time_out_with_effect"),
    }
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(network.http.post, "/v1/operations", json=body, timeout=60)
        while not network.log():
            time.sleep(0.02)
        network.child.signal(signal.SIGTERM)
        with pytest.raises(httpx2.TransportError):
            held.result(timeout=10)
    assert network.child.stop(timeout_seconds=10) == 0
    assert len(start_simulator("network").log()) == 1
