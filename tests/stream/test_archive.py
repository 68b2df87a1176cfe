"""Payments leave the table and come back with their history, on a real broker and ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from payment_harness import (
    CHARGED,
    POLICY,
    Stack,
    decided_commands,
    network_environment,
    open_stack,
)
from polling import eventually
from sink_worker import worker

from devstack.services import clickhouse
from devstack.services.child import Child
from devstack.services.ports import free_port
from runtime.clock import now_ms
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.store_connections import ClickHouseConnection
from schemas.codec import decode, encode
from schemas.enums import EventType as E
from schemas.records import HistoryRequest, PaymentCommand
from schemas.topics import HISTORY_REQUESTS, PAYMENTS_EVENTS
from sinks.audit.migrations import migrate
from sinks.audit.store import connect
from streams.domain import PaymentState, Policy, decide
from streams.domain.archive import archive_stub
from streams.domain.history_codec import pack
from streams.state_codec import ARCHIVED_TABLE

pytestmark = pytest.mark.services
TABLE = "streams-payments-payments-changelog"
ARCHIVED = "streams-payments-archived-changelog"
ARCHIVING = {
    "PAYSTREAM_PAYMENTS_ARCHIVE_AFTER_SECONDS": "2",
    "PAYSTREAM_ARCHIVE_SCAN_INTERVAL_SECONDS": "0.5",
    "PAYSTREAM_ARCHIVE_INTERVAL_SECONDS": "0.1",
}
RULES = Policy(
    network_timeout_seconds=20,
    status_inquiry_backoff_seconds=1,
    action_timeout_seconds=2,
    archive_after_seconds=2,
)


class AuditStore:
    """A ClickHouse that can be killed."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.url = clickhouse.url(self.port)
        self.start()

    def start(self) -> None:
        launch = clickhouse.launch(self.directory / "clickhouse", self.port, self.directory)
        self.child = Child(launch)
        self.child.wait_ready()
        with connect(ClickHouseConnection(self.url), 60) as client:
            migrate(client)


@pytest.fixture(scope="module")
def stack(kafka_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(kafka_broker, tmp_path_factory.mktemp("archive")) as opened:
        yield opened


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[AuditStore]:
    made = AuditStore(stack.directory)
    try:
        yield made
    finally:
        made.child.kill_group()


@pytest.fixture(scope="module", autouse=True)
def workers(stack: Stack, store: AuditStore) -> Iterator[None]:
    asking = {
        **network_environment(stack.network_url),
        "CLICKHOUSE_URL": store.url,
        "PAYSTREAM_HISTORY_TIMEOUT_SECONDS": "2",
        "PAYSTREAM_HISTORY_RETRY_SECONDS_MAX": "1",
    }
    with (
        worker("payments", stack.broker, stack.directory, {**POLICY, **ARCHIVING}),
        worker("network", stack.broker, stack.directory, asking),
        worker("audit", stack.broker, stack.directory, {"CLICKHOUSE_URL": store.url}),
    ):
        yield


def last(stack: Stack, topic: str, key: str) -> tuple[bool, bytes | None]:
    """Whether the changelog ever had the key, and its last value (None: a tombstone)."""
    values = [
        record.value
        for record in read_topic(KafkaConnection(stack.broker), topic)
        if record.key == key
    ]
    return bool(values), values[-1] if values else None


def wait_archived(stack: Stack, payment_id: str) -> None:
    def archived() -> bool:
        stub, state = last(stack, ARCHIVED, payment_id)[1], last(stack, TABLE, payment_id)
        return stub is not None and state == (True, None)

    eventually(archived, "the archive", 40)


def stubs_of(stack: Stack, payment_id: str) -> list[bytes | None]:
    """Everything that ever stood in the archive for it; None is the payment's return."""
    return [
        record.value
        for record in read_topic(KafkaConnection(stack.broker), ARCHIVED)
        if record.key == payment_id
    ]


def history_requests(stack: Stack, payment_id: str) -> list[HistoryRequest]:
    found = (
        r.value
        for r in read_topic(KafkaConnection(stack.broker), HISTORY_REQUESTS)
        if r.key == payment_id
    )
    return [decode(HistoryRequest, value) for value in found if value is not None]


def as_if_it_had_never_left(stack: Stack, payment_id: str) -> PaymentState:
    """The written events are those of the commands without any archiving, byte for byte."""
    state: PaymentState | None = None
    wanted: list[bytes] = []
    for command in decided_commands(stack.broker, {payment_id}):
        decision = decide(state, command, RULES)
        state = decision.state
        wanted += map(encode, decision.events)
    events = [
        r.value
        for r in read_topic(KafkaConnection(stack.broker), PAYMENTS_EVENTS)
        if r.key == payment_id
    ]
    assert events == wanted
    assert state is not None
    return state


def archived_payment(stack: Stack, **fields: Any) -> PaymentCommand:
    create = stack.create("approve", **fields)
    stack.send(create)
    stack.reaches(create.payment_id, *CHARGED)
    stack.ask(create.payment_id, "settle")
    stack.reaches(create.payment_id, *SETTLED)
    wait_archived(stack, create.payment_id)
    return create


SETTLED = (*CHARGED, E.SETTLED)
REFUNDED = (E.REFUND_REQUESTED, E.REFUND_SUCCEEDED)


def test_an_archived_payment_comes_back_for_each_command_and_goes_again(stack: Stack) -> None:
    create = archived_payment(stack, reference="")
    refund = stack.command(create.payment_id, "refund", amount_minor=300)
    stack.send(refund, create, stack.command(create.payment_id, "capture"))
    stack.reaches(create.payment_id, *SETTLED, E.REFUND_REQUESTED, E.COMMAND_REJECTED, REFUNDED[1])
    wait_archived(stack, create.payment_id)
    dispute = stack.command(create.payment_id, "open_dispute", amount_minor=100)
    stack.send(refund, dispute)
    stack.reaches(
        create.payment_id,
        *(*SETTLED, E.REFUND_REQUESTED, E.COMMAND_REJECTED, E.REFUND_SUCCEEDED, E.DISPUTE_OPENED),
    )
    state = as_if_it_had_never_left(stack, create.payment_id)
    assert (state.refunded_minor, state.fees_minor) == (300, 10)
    asked = [request.sequence for request in history_requests(stack, create.payment_id)]
    # The copy and the dispute stand on two topics: one poll may have both, or each its own.
    assert asked in ([5, 8], [5, 8, 8])
    assert last(stack, ARCHIVED, create.payment_id) == (True, None)


def test_a_repeat_of_the_create_charges_nobody_again(stack: Stack) -> None:
    create = archived_payment(stack)
    stack.send(create)
    eventually(lambda: history_requests(stack, create.payment_id), "the history request")
    eventually(lambda: None in stubs_of(stack, create.payment_id), "the return")
    wait_archived(stack, create.payment_id)
    stack.reaches(create.payment_id, *SETTLED)
    state = as_if_it_had_never_left(stack, create.payment_id)
    stored = last(stack, ARCHIVED, create.payment_id)[1]
    assert stored is not None
    assert ARCHIVED_TABLE["decode"](stored) == archive_stub(state)


def test_commands_wait_while_the_store_is_away_and_a_false_history_is_refused(
    stack: Stack, store: AuditStore
) -> None:
    create = archived_payment(stack)
    store.child.kill_group()
    stack.ask(create.payment_id, "refund", amount_minor=300)
    eventually(lambda: history_requests(stack, create.payment_id), "the history request")
    false = stack.events(create.payment_id)[:-1]
    stack.send(
        PaymentCommand(
            command_id="cmd_false",
            payment_id=create.payment_id,
            merchant_id=create.merchant_id,
            mode="test",
            kind="history",
            fingerprint="f",
            issued_at_ms=now_ms(),
            source="history",
            attempt=1,
            history=pack([encode(event) for event in false]),
        )
    )
    eventually(lambda: len(history_requests(stack, create.payment_id)) == 2, "the second question")
    stack.ask(create.payment_id, "refund", amount_minor=200)
    stack.reaches(create.payment_id, *SETTLED)
    store.start()
    events = stack.reaches(
        create.payment_id,
        *SETTLED,
        REFUNDED[0],
        REFUNDED[0],
        E.REFUND_SUCCEEDED,
        E.REFUND_SUCCEEDED,
    )
    assert events[-1].refunded_minor == 500
    as_if_it_had_never_left(stack, create.payment_id)
    asked = [question.attempt for question in history_requests(stack, create.payment_id)]
    assert asked == [1, 2]
    assert "history_rejected" in (stack.directory / "payments.log").read_text()
