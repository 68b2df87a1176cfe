"""Payments through both agents on a real broker, with the simulated card network behind HTTP."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace
from payment_harness import (
    CHARGED,
    POLICY,
    Stack,
    decided_commands,
    network_environment,
    network_launch,
    open_stack,
)
from polling import eventually
from sink_worker import merchant, publish, start_worker, worker

from devstack.services.child import Child
from devstack.services.ports import free_port
from runtime.kafka import producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas import ids
from schemas.codec import decode, encode
from schemas.enums import EventType as E
from schemas.headers import CE_ID, TRACEPARENT
from schemas.records import PaymentCommand, Rejection
from schemas.topics import (
    MERCHANTS,
    NETWORK_REQUESTS,
    PAYMENTS_COMMANDS,
    PAYMENTS_EVENTS,
    PAYMENTS_REJECTIONS,
)
from streams.domain import PaymentState, Policy, decide
from streams.state_codec import PAYMENTS_TABLE

pytestmark = pytest.mark.services
UNREADABLE_JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXZpdml2.Y2lwaGVydGV4dA.dGFn"


@pytest.fixture(scope="module")
def stack(kafka_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(kafka_broker, tmp_path_factory.mktemp("streams")) as opened:
        yield opened


@pytest.fixture(scope="module")
def payments(stack: Stack) -> Iterator[Child]:
    with worker("payments", stack.broker, stack.directory, POLICY) as child:
        yield child


@pytest.fixture(scope="module")
def network_worker(stack: Stack) -> Iterator[Child]:
    environment = network_environment(stack.network_url)
    with worker("network", stack.broker, stack.directory, environment) as child:
        yield child


TIME_OUTS = ["time_out_with_effect", "time_out_without_effect", "capture_time_out_with_effect"]
both = pytest.mark.usefixtures("payments", "network_worker")


@both
def test_a_payment_is_charged_once_however_often_its_create_arrives(stack: Stack) -> None:
    create = stack.create("approve", fee_basis_points=100)
    stack.send(create, create)
    stack.send(create)
    events = stack.reaches(create.payment_id, *CHARGED)
    stack.send(create)
    stack.ask(create.payment_id, "refund", amount_minor=300)
    events = stack.reaches(create.payment_id, *CHARGED, E.REFUND_REQUESTED, E.REFUND_SUCCEEDED)
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    assert (events[-1].captured_minor, events[-1].refunded_minor) == (1000, 300)
    assert events[-1].fees_minor == 10
    done = Counter(line["operation"] for line in stack.log(create.payment_id))
    assert done == {"authorize": 1, "capture": 1, "refund": 1}


@both
def test_the_trace_goes_from_the_command_to_the_last_event(stack: Stack) -> None:
    create = stack.create("approve")
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    producer = Producer(producer_settings(KafkaConnection(stack.broker)))
    headers = {TRACEPARENT: trace}
    producer.produce(PAYMENTS_COMMANDS, encode(create), create.payment_id, headers=headers)
    producer.flush(10)
    stack.reaches(create.payment_id, *CHARGED)
    for topic in (PAYMENTS_EVENTS, NETWORK_REQUESTS):
        mine = [
            r
            for r in read_topic(KafkaConnection(stack.broker), topic)
            if r.key == create.payment_id
        ]
        assert {record.headers[TRACEPARENT] for record in mine} == {trace}
        assert all(record.headers[CE_ID].decode().startswith("pay_") for record in mine)


@both
@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("decline_generic", "generic_decline"),
        ("decline_funds", "insufficient_funds"),
        ("decline_expired", "expired_card"),
    ],
)
def test_declines_have_stable_codes(stack: Stack, card: str, code: str) -> None:
    create = stack.create(card)
    stack.send(create)
    assert stack.reaches(create.payment_id, E.CREATED, E.DECLINED)[-1].decline_code == code


@both
def test_a_card_that_cannot_be_read_is_declined(stack: Stack) -> None:
    create = stack.create("approve")
    stack.send(replace(create, card=UNREADABLE_JWE))
    events = stack.reaches(create.payment_id, E.CREATED, E.DECLINED)
    assert events[-1].decline_code == "card_not_readable"


@both
@pytest.mark.parametrize(
    "card", ["time_out_with_effect", "time_out_without_effect", "capture_time_out_with_effect"]
)
def test_a_time_out_is_resolved_and_charges_once(stack: Stack, card: str) -> None:
    """The network took it and did not answer; it did not take it; it charged and did not say."""
    create = stack.create(card)
    stack.send(create)
    stack.reaches(create.payment_id, *CHARGED)
    log = stack.log(create.payment_id)
    assert Counter(line["operation"] for line in log) == {"authorize": 1, "capture": 1}


@both
def test_three_d_secure(stack: Stack) -> None:
    create = stack.create("three_d_secure", return_url="https://shop.example/back")
    stack.send(create)
    waiting = stack.reaches(create.payment_id, E.CREATED, E.REQUIRES_ACTION)[-1]
    assert waiting.action_url is not None
    question = urllib.request.Request(
        waiting.action_url,
        data=b'{"result": "success"}',
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(question, timeout=5) as response:
        assert response.status == 200
    stack.ask(create.payment_id, "complete_action")
    stack.reaches(create.payment_id, E.CREATED, E.REQUIRES_ACTION, E.ACTION_COMPLETED, *CHARGED[1:])


@both
def test_a_customer_who_stays_away_ends_the_payment(stack: Stack) -> None:
    create = stack.create("three_d_secure")
    stack.send(create)
    types = (E.CREATED, E.REQUIRES_ACTION, E.RESOLUTION_REQUESTED, E.FAILED)
    events = stack.reaches(create.payment_id, *types)
    assert (events[-2].source, events[-1].source) == ("deadlines", "network")
    assert events[-1].reason == "action_timed_out"
    assert events[-1].occurred_at_ms >= events[1].occurred_at_ms + 2000


@both
def test_a_background_capture_comes_with_its_delay(stack: Stack) -> None:
    create = stack.create("approve", capture_delay_seconds=2)
    stack.send(create)
    events = stack.reaches(create.payment_id, *CHARGED)
    assert events[2].command_kind == "capture_due"
    assert events[2].occurred_at_ms >= events[1].occurred_at_ms + 2000


@both
def test_manual_capture_void_and_refusals(stack: Stack) -> None:
    create = stack.create("approve", capture_method="manual")
    stack.send(create)
    stack.reaches(create.payment_id, E.CREATED, E.AUTHORIZED)
    stack.ask(create.payment_id, "capture", amount_minor=5000)
    stack.reaches(create.payment_id, E.CREATED, E.AUTHORIZED, E.COMMAND_REJECTED)
    stack.ask(create.payment_id, "void")
    events = stack.reaches(
        create.payment_id,
        *(E.CREATED, E.AUTHORIZED, E.COMMAND_REJECTED, E.VOID_REQUESTED, E.VOIDED),
    )
    assert events[-1].status == "voided"


@both
def test_what_cannot_be_accepted_of_a_client_is_a_rejection_once(stack: Stack) -> None:
    good, stray = stack.create("approve"), stack.create("approve")
    publish(stack.broker, PAYMENTS_COMMANDS, good.payment_id, stray)
    producer = Producer(producer_settings(KafkaConnection(stack.broker)))
    producer.produce(PAYMENTS_COMMANDS, b"no avro", good.payment_id)
    producer.flush(10)
    stack.send(good)
    stack.reaches(good.payment_id, *CHARGED)
    places = {
        f"{PAYMENTS_COMMANDS}/{record.partition}/{record.offset}": record.value
        for record in read_topic(KafkaConnection(stack.broker), PAYMENTS_COMMANDS)
        if record.key == good.payment_id
    }
    rejections = [
        rejection
        for record in read_topic(KafkaConnection(stack.broker), PAYMENTS_REJECTIONS)
        if (rejection := decode(Rejection, record.value or b"")).rejection_id in places
    ]
    found = {each.reason: places[each.rejection_id] for each in rejections}
    assert found == {"key_mismatch": encode(stray), "undecodable": b"no avro"}
    assert len(rejections) == len(places) - 1
    assert stack.events(stray.payment_id) == []


@both
def test_a_merchant_that_registers_and_pays_at_once_is_known(stack: Stack) -> None:
    """The copy of all merchants may be behind: it reads on before it says no."""
    merchant_id = f"mer_{time.time_ns()}"
    create = stack.create("approve")
    key = create.idempotency_key or ""
    payment_id = ids.payment_id(merchant_id, "test", key)
    theirs = replace(
        create,
        merchant_id=merchant_id,
        payment_id=payment_id,
        command_id=ids.command_id(payment_id, "create", key),
    )
    publish(stack.broker, MERCHANTS, merchant_id, merchant(merchant_id))
    stack.send(theirs)
    assert stack.reaches(payment_id, *CHARGED)[0].fee_basis_points == 100


def test_network_down_and_workers_killed_lose_nothing_and_charge_once(
    stack: Stack, payments: Child, network_worker: Child
) -> None:
    payments.stop()
    network_worker.stop()
    port = free_port()
    environment = network_environment(f"http://127.0.0.1:{port}")
    creates = [stack.create("approve") for _ in range(30)]
    first = [
        start_worker("payments", stack.broker, stack.directory, POLICY),
        start_worker("network", stack.broker, stack.directory, environment),
    ]
    stack.network.stop()
    second: list[Child] = []
    try:
        stack.send(*creates)
        eventually(lambda: len(stack.events(creates[-1].payment_id)) >= 1, "the first event")
        time.sleep(3)
        second.append(Child(network_launch(stack.simulated, port)))
        second[0].wait_ready()
        time.sleep(0.7)
        for child in first:
            child.signal(signal.SIGKILL)
        for child in first:
            eventually(lambda c=child: c.exit_code() is not None, "death")  # type: ignore[misc] # bound now
        for name, settings in (("payments", POLICY), ("network", environment)):
            second.append(start_worker(name, stack.broker, stack.directory, settings))
        moved = stack._replace(network_url=f"http://127.0.0.1:{port}")

        def captured(create: PaymentCommand) -> bool:
            events = moved.events(create.payment_id)
            return bool(events) and events[-1].status == "captured"

        eventually(lambda: all(map(captured, creates)), "all captured", 90)
        for create in creates:
            log = moved.log(create.payment_id)
            assert Counter(line["operation"] for line in log) == {"authorize": 1, "capture": 1}
        assert [child.stop(30) for child in second[1:]] == [0, 0]
        assert_recomputable(stack.broker, {create.payment_id for create in creates})
    finally:
        for child in (*first, *second):
            child.kill_group()


def assert_recomputable(broker: str, payment_ids: set[str]) -> None:
    """Their events and states are what `decide` makes of the commands, in order, byte for byte."""
    policy = Policy(
        network_timeout_seconds=20, status_inquiry_backoff_seconds=1, action_timeout_seconds=2
    )
    states: dict[str, PaymentState] = {}
    events: dict[str, list[bytes]] = {}
    for command in decided_commands(broker, payment_ids):
        decision = decide(states.get(command.payment_id), command, policy)
        assert decision.state is not None
        states[command.payment_id] = decision.state
        events.setdefault(command.payment_id, []).extend(map(encode, decision.events))
    written: dict[str, list[bytes]] = {}
    for record in read_topic(KafkaConnection(broker), PAYMENTS_EVENTS):
        if record.key in states and record.value is not None:
            written.setdefault(record.key, []).append(record.value)
    assert written == events
    table: dict[str, PaymentState] = {}
    for record in read_topic(KafkaConnection(broker), "streams-payments-payments-changelog"):
        if record.key in states and record.value is not None:
            table[record.key] = PAYMENTS_TABLE["decode"](record.value)
    assert table == states
