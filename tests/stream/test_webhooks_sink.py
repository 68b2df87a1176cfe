"""Webhooks from events on a real broker to a real HTTP receiver, retried from the tables."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from polling import eventually
from sink_worker import (
    MASTER_KEY,
    event,
    merchant,
    publish,
    publish_keyed,
    start_worker,
    stored,
    worker,
)

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from paystream.operations.topics import create_all
from runtime.encryption import encrypt
from runtime.kafka_connection import KafkaConnection
from schemas.records import DeadLetter, Endpoint, WebhookAttempt
from schemas.topics import (
    MERCHANTS,
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_EVENTS,
    WEBHOOKS_ATTEMPTS,
)

pytestmark = pytest.mark.services
Unique = Callable[[str], str]
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NEW_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {
    "PAYSTREAM_WEBHOOKS_SCHEDULE_FACTOR": "0.001",
    "PAYSTREAM_WEBHOOKS_ALLOW_LOOPBACK": "true",
    "PAYSTREAM_WEBHOOKS_ATTEMPT_TIMEOUT_SECONDS": "2",
}


class Receiver(NamedTuple):
    """The merchants' side."""

    url: str

    def log(self, name: str) -> list[dict[str, Any]]:
        """What arrived at one endpoint."""
        with urllib.request.urlopen(f"{self.url}/log", timeout=5) as response:
            lines = [json.loads(line) for line in response.read().splitlines()]
        return [line for line in lines if line["path"] == f"/hooks/{name}"]

    def delivered(self, name: str) -> set[str]:
        """Webhook ids that were answered with 200."""
        return {line["webhook_id"] for line in self.log(name) if line["status"] == 200}

    def expect_secret(self, name: str, secret: str) -> None:
        """Have the receiver verify signatures with this secret."""
        request = urllib.request.Request(
            f"{self.url}/secrets/{name}", json.dumps({"secret": secret}).encode(), method="POST"
        )
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=5):
            pass


@pytest.fixture(scope="module")
def broker(kafka_broker: str) -> str:
    create_all(KafkaConnection(kafka_broker))
    return kafka_broker


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    directory, port = tmp_path_factory.mktemp("receiver"), free_port()
    child = Child(simulator("receiver", port, directory, directory / "receiver.out"))
    try:
        child.wait_ready()
        yield Receiver(f"http://127.0.0.1:{port}")
    finally:
        child.kill_group()


@pytest.fixture(scope="module")
def webhooks(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with worker("webhooks", broker, tmp_path_factory.mktemp("webhooks"), ENV) as child:
        yield child


def endpoint(endpoint_id: str, url: str, *secrets: str) -> Endpoint:
    sealed = [encrypt(MASTER_KEY, secret, endpoint_id) for secret in secrets or (NEW_SECRET,)]
    return Endpoint(endpoint_id=endpoint_id, url=url, encrypted_secrets=sealed, enabled=True)


def register(broker: str, merchant_id: str, **urls: str) -> dict[str, str]:
    """A merchant with an endpoint for each URL; answers name -> endpoint id."""
    ids = {name: f"we_{name}_{merchant_id}" for name in urls}
    endpoints = [endpoint(ids[name], url) for name, url in urls.items()]
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id, *endpoints))
    return ids


def send_events(broker: str, merchant_id: str, payments: list[str]) -> None:
    publish_keyed(broker, PAYMENTS_EVENTS, [(p, event(p, merchant_id)) for p in payments])


def attempts_of(broker: str, endpoint_id: str) -> list[WebhookAttempt]:
    return stored(broker, WEBHOOKS_ATTEMPTS, WebhookAttempt, lambda a: a.endpoint_id == endpoint_id)


def dead_letters_of(broker: str, endpoint_id: str) -> list[DeadLetter]:
    return stored(broker, PAYMENTS_DEAD_LETTERS, DeadLetter, lambda d: d.key == endpoint_id)


@pytest.mark.usefixtures("webhooks")
def test_every_change_arrives_once_signed_with_both_secrets(
    broker: str, receiver: Receiver, unique_name: Unique
) -> None:
    merchant_id, payment, name = unique_name("mer"), unique_name("pay"), unique_name("ok-a")
    receiver.expect_secret(name, OLD_SECRET)
    target = endpoint(f"we_{merchant_id}", f"{receiver.url}/hooks/{name}", NEW_SECRET, OLD_SECRET)
    publish(broker, MERCHANTS, merchant_id, merchant(merchant_id, target))
    publish(
        broker,
        PAYMENTS_EVENTS,
        payment,
        event(payment, merchant_id, 1),
        event(payment, merchant_id, 2, type="command.rejected", reason="wrong_state"),
        event(payment, merchant_id, 3, type="payment.authorized", status="authorized"),
    )
    wanted = {f"{payment}-1", f"{payment}-3"}
    eventually(lambda: receiver.delivered(name) == wanted, "two webhooks")
    eventually(lambda: len(attempts_of(broker, target.endpoint_id)) == 2, "their records")
    lines = receiver.log(name)
    assert len(lines) == 2
    assert all(line["verified"] for line in lines)
    assert all(line["content_type"] == "application/json" for line in lines)
    assert all(line["webhook_signature"].count("v1,") == 2 for line in lines)
    bodies = {line["webhook_id"]: json.loads(line["body"]) for line in lines}
    assert bodies[f"{payment}-3"]["sequence"] == 3
    assert bodies[f"{payment}-3"]["data"]["status"] == "authorized"


@pytest.mark.usefixtures("webhooks")
def test_failures_are_retried_until_the_receiver_takes_it(
    broker: str, receiver: Receiver, unique_name: Unique
) -> None:
    merchant_id, payment, name = unique_name("mer"), unique_name("pay"), unique_name("fail3-a")
    ids = register(broker, merchant_id, fail=f"{receiver.url}/hooks/{name}")
    send_events(broker, merchant_id, [payment])
    eventually(lambda: receiver.delivered(name), "delivery at last")
    found = eventually(lambda: len(a := attempts_of(broker, ids["fail"])) == 4 and a, "attempts")
    assert [(a.attempt, a.result, a.http_status) for a in found] == [
        (1, "failed", 500),
        (2, "failed", 500),
        (3, "failed", 500),
        (4, "delivered", 200),
    ]
    lines = receiver.log(name)
    assert len({line["webhook_id"] for line in lines}) == 1
    assert len({line["body"] for line in lines}) == 1


@pytest.mark.usefixtures("webhooks")
def test_gone_is_given_up_and_kept_as_a_dead_letter(
    broker: str, receiver: Receiver, unique_name: Unique
) -> None:
    merchant_id, payment, name = unique_name("mer"), unique_name("pay"), unique_name("gone-a")
    ids = register(broker, merchant_id, gone=f"{receiver.url}/hooks/{name}")
    send_events(broker, merchant_id, [payment])
    [letter] = eventually(lambda: dead_letters_of(broker, ids["gone"]), "dead letter")
    assert (letter.reason_code, letter.source_app) == ("delivery_refused", "sinks-webhooks")
    assert len(receiver.log(name)) == 1


@pytest.mark.usefixtures("webhooks")
def test_made_up_merchants_hold_up_nobody(
    broker: str, receiver: Receiver, unique_name: Unique
) -> None:
    """Each of them held all webhooks for ten seconds, one after another."""
    merchant_id, payment, name = unique_name("mer"), unique_name("pay"), unique_name("ok-next")
    register(broker, merchant_id, next=f"{receiver.url}/hooks/{name}")
    for number in range(20):
        send_events(broker, f"{merchant_id}-made-up-{number}", [unique_name("pay")])
        time.sleep(0.2)
    send_events(broker, merchant_id, [payment])
    eventually(lambda: receiver.delivered(name), "delivery", seconds=15)


@pytest.mark.usefixtures("webhooks")
def test_forbidden_targets_are_never_called(broker: str, unique_name: Unique) -> None:
    merchant_id, payment = unique_name("mer"), unique_name("pay")
    ids = register(
        broker, merchant_id, plain="http://10.0.0.1/hooks", private="https://10.0.0.1/hooks"
    )
    send_events(broker, merchant_id, [payment])
    for name, words in (("plain", "must begin with https"), ("private", "not a public address")):
        found = eventually(lambda n=name: attempts_of(broker, ids[n]), "attempt")  # type: ignore[misc] # bound now
        assert found[0].result == "failed"
        assert words in found[0].error


@contextmanager
def hanging_server() -> Iterator[str]:
    """Accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    taken: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                taken.append(listener.accept()[0])
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks"
    finally:
        for connection in (listener, *taken):
            connection.close()


def test_a_hanging_endpoint_with_a_long_queue_does_not_hold_up_others(
    broker: str, webhooks: Child, receiver: Receiver, unique_name: Unique
) -> None:
    dead, live, name = unique_name("mer"), unique_name("mer"), unique_name("ok-live")
    register(broker, live, live=f"{receiver.url}/hooks/{name}")
    with hanging_server() as url:
        ids = register(broker, dead, dead=url)
        payments = [f"{unique_name('pay')}" for _ in range(60)]
        send_events(broker, dead, payments)
        eventually(lambda: attempts_of(broker, ids["dead"]), "first time-out")
        send_events(broker, live, payments[:20])
        eventually(lambda: len(receiver.delivered(name)) == 20, "the other's webhooks")
        assert not [a for a in attempts_of(broker, ids["dead"]) if a.result == "delivered"]
        assert len(attempts_of(broker, ids["dead"])) < 60
    assert webhooks.exit_code() is None


def test_nothing_is_lost_when_the_worker_is_killed(
    broker: str, webhooks: Child, receiver: Receiver, unique_name: Unique, tmp_path: Path
) -> None:
    webhooks.stop()
    merchant_id, name = unique_name("mer"), unique_name("slow-k")
    register(broker, merchant_id, slow=f"{receiver.url}/hooks/{name}")
    payments = [unique_name("pay") for _ in range(20)]
    env = ENV | {"PAYSTREAM_WEBHOOKS_ATTEMPT_TIMEOUT_SECONDS": "10"}
    first = start_worker("webhooks", broker, tmp_path, env)
    try:
        send_events(broker, merchant_id, payments)
        eventually(lambda: receiver.log(name), "the first attempts")
        first.signal(signal.SIGKILL)
        eventually(lambda: first.exit_code() is not None, "death")
    finally:
        first.kill_group()
    with worker("webhooks", broker, tmp_path, env) as second:
        wanted = {f"{payment}-1" for payment in payments}
        eventually(lambda: receiver.delivered(name) == wanted, "all webhooks")
        ids = f"we_slow_{merchant_id}"
        eventually(
            lambda: (
                {a.event_id for a in attempts_of(broker, ids) if a.result == "delivered"} == wanted
            ),
            "all records",
        )
        assert second.stop(30) == 0


def test_what_is_never_taken_becomes_a_dead_letter_when_the_time_is_over(
    broker: str, receiver: Receiver, unique_name: Unique, tmp_path: Path
) -> None:
    merchant_id, name = unique_name("mer"), unique_name("down-a")
    ids = register(broker, merchant_id, down=f"{receiver.url}/hooks/{name}")
    env = ENV | {"PAYSTREAM_WEBHOOKS_SCHEDULE_FACTOR": "0.000004"}  # 30 days are 10 s
    with worker("webhooks", broker, tmp_path, env):
        send_events(broker, merchant_id, [unique_name("pay"), unique_name("pay")])
        letters = eventually(
            lambda: len(d := dead_letters_of(broker, ids["down"])) == 2 and d, "dead letters"
        )
        assert {letter.reason_code for letter in letters} == {"delivery_expired"}
        assert len(receiver.log(name)) > 2
