"""A second card network on a real broker: who authorized is asked for everything that follows."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from payment_harness import POLICY, Stack, network_environment, network_launch, open_stack
from polling import eventually
from sink_worker import worker

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator
from runtime.consumer_lag import positions
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.enums import EventType as E
from schemas.topics import NETWORK_REQUESTS

pytestmark = pytest.mark.services


@pytest.fixture
def stack(own_broker: str, tmp_path: Path) -> Iterator[Stack]:
    """No other test's payment asks the network that is away, which would hold up the commit."""
    with open_stack(own_broker, tmp_path) as opened:
        yield opened


@pytest.fixture
def fallback(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """URL of a network that reads the same cards."""
    port, directory = free_port(), tmp_path / "fallback"
    directory.mkdir()
    quick = {"latency_p50_ms": 10.0, "latency_p99_ms": 50.0, "faults": 0.0}
    key_file = str(stack.simulated / "network_key.json")
    launch = simulator("network", port, directory, directory / "out", key_file=key_file, **quick)
    child = Child(launch)
    try:
        child.wait_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill_group()


def effects(url: str, payment_id: str) -> Counter[tuple[str, str]]:
    with urllib.request.urlopen(f"{url}/log", timeout=5) as response:
        lines = [json.loads(line) for line in response.read().splitlines()]
    mine = (line for line in lines if line["idempotency_key"].startswith(payment_id))
    return Counter((line["idempotency_key"].partition(":")[2], line["outcome"]) for line in mine)


REROUTED = (E.CREATED, E.REROUTED, E.AUTHORIZED, E.CAPTURE_REQUESTED, E.CAPTURED)


def nothing_comes_again(broker: str, payments: set[str]) -> bool:
    """The calls' offsets are committed. A worker killed before that asks the first network again,
    which then approves late. Other tests show how that is reversed.
    """
    asked = [
        at for at in read_topic(KafkaConnection(broker), NETWORK_REQUESTS) if at.key in payments
    ]
    next_offsets = {
        position.partition: position.next_offset
        for position in positions(KafkaConnection(broker), ["streams-network-calls"])
        if position.topic == NETWORK_REQUESTS
    }
    assert {at.key for at in asked} == payments
    return all(at.offset < next_offsets.get(at.partition, 0) for at in asked)


def test_while_the_first_network_is_away_the_second_authorizes_and_keeps_the_payment(
    stack: Stack, fallback: str
) -> None:
    """Also after the first is back; a kill of the worker between changes nothing."""
    environment = {
        **network_environment(stack.network_url),
        "NETWORK_FALLBACK_URL": fallback,
        "PAYSTREAM_NETWORK_ATTEMPTS_MAX": "2",
        "PAYSTREAM_NETWORK_FALLBACK_OWNERSHIP_MARGIN_SECONDS": "0.2",
    }
    stack.network.stop()
    with worker("payments", stack.broker, stack.directory, POLICY):
        with worker("network", stack.broker, stack.directory, environment) as first:
            creates = [stack.create("approve") for _ in range(5)]
            stack.send(*creates)
            for create in creates:
                events = stack.reaches(create.payment_id, *REROUTED)
                assert [event.network for event in events] == [None] + 4 * ["fallback"]
            asked = {create.payment_id for create in creates}
            eventually(lambda: nothing_comes_again(stack.broker, asked), "commit of the calls")
            first.signal(signal.SIGKILL)
            eventually(lambda: first.exit_code() is not None, "death")
        port = int(stack.network_url.rpartition(":")[2])
        back = Child(network_launch(stack.simulated, port))
        try:
            back.wait_ready()
            with worker("network", stack.broker, stack.directory, environment):
                for create in creates:
                    stack.ask(create.payment_id, "refund", amount_minor=400)
                stays = stack.create("approve")
                stack.send(stays)
                for create in creates:
                    stack.reaches(
                        create.payment_id, *REROUTED, E.REFUND_REQUESTED, E.REFUND_SUCCEEDED
                    )
                    assert effects(fallback, create.payment_id) == {
                        ("authorize:2", "approved"): 1,
                        ("capture:1", "approved"): 1,
                        ("refund:1", "approved"): 1,
                    }
                    assert effects(stack.network_url, create.payment_id) == {}
                stack.reaches(stays.payment_id, E.CREATED, *REROUTED[2:])
                assert effects(fallback, stays.payment_id) == {}
        finally:
            back.kill_group()
