"""Whatever order brokers answer in, one poll's commands are decided in one order, and rightly."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.consumers.batch_slice import batch_slices
from schemas.envelopes import to_message
from schemas.ids import command_id, payment_id
from schemas.partitioning import partition_of
from schemas.records import PaymentCommand, PaymentEvent
from schemas.topics import PAYMENT_COMMAND_TOPICS
from streams.domain import Policy, Stored, handle

MERCHANT, PARTITIONS, START_MS = "mer_1", 3, 1_700_000_000_000


class Message(NamedTuple):
    """A record as a consumer has it."""

    command: PaymentCommand
    name: str
    number: int
    at: int

    def topic(self) -> str:
        return self.name

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at


def command(payment: str, kind: str, source: str, at: int, **fields: Any) -> PaymentCommand:
    return PaymentCommand(
        command_id=command_id(payment, kind, f"{source}-{at}"),
        payment_id=payment,
        merchant_id=MERCHANT,
        mode="test",
        kind=kind,
        fingerprint=f"{kind}-{at}",
        issued_at_ms=START_MS + at,
        source=source,
        **fields,
    )


def a_life(payment: str, at: int, key: str) -> list[PaymentCommand]:
    """What clients, the network, people and deadlines may say of one payment."""
    result = {"operation": "authorize", "operation_id": f"{payment}:authorize:1", "attempt": 1}
    create = {"amount_minor": 1000, "currency": "EUR", "capture_method": "manual"}
    return [
        command(payment, "create", "api", at, idempotency_key=key, **create),
        command(payment, "network_result", "network", at, outcome="approved", **result),
        command(
            payment, "network_result", "network_notification", at, outcome="approved", **result
        ),
        command(payment, "capture", "api", at, amount_minor=400),
        command(payment, "capture", "producer", at, amount_minor=600),
        command(payment, "void", "api", at),
        command(payment, "expire", "deadlines", at),
        command(payment, "open_dispute", "operator", at, dispute_id="dsp_1", amount_minor=100),
        command(payment, "settle", "reconciliation", at),
    ]


def stored_messages() -> list[Message]:
    """The lives of some payments as they stand on their topics."""
    ends: dict[tuple[str, int], int] = {}
    messages = []
    for number in range(4):
        key = f"order-{number}"
        payment = payment_id(MERCHANT, "test", key)
        for each in a_life(payment, number, key):
            topic, partition = to_message(each, "test").topic, partition_of(payment, PARTITIONS)
            at = ends.get((topic, partition), 0)
            ends[topic, partition] = at + 1
            messages.append(Message(each, topic, partition, at))
    return messages


MESSAGES = stored_messages()


@st.composite
def arrivals(draw: st.DrawFn) -> list[Message]:
    """The same records, interleaved in any way that keeps the order of each topic's partition."""
    queues: dict[tuple[str, int], list[Message]] = {}
    for message in MESSAGES:
        queues.setdefault((message.name, message.number), []).append(message)
    arrival = []
    while queues:
        source = draw(st.sampled_from(sorted(queues)))
        arrival.append(queues[source].pop(0))
        if not queues[source]:
            del queues[source]
    return arrival


def decided(arrival: list[Message]) -> list[PaymentEvent]:
    """Events of one poll, as the worker handles it."""
    stored: dict[str, Stored] = {}
    events: list[PaymentEvent] = []
    for slice_ in batch_slices(arrival, topics=PAYMENT_COMMAND_TOPICS):
        for message in slice_.messages:
            payment = message.command.payment_id
            handled = handle(stored.get(payment), message.command, Policy())
            stored[payment] = handled.stored
            events += [event for decision, _ in handled.decisions for event in decision.events]
    return events


@given(arrivals())
@settings(max_examples=200)
def test_the_events_of_a_poll_depend_on_its_records_alone(arrival: list[Message]) -> None:
    assert decided(arrival) == decided(MESSAGES)


@given(arrivals())
def test_each_topic_s_commands_are_decided_in_its_order(arrival: list[Message]) -> None:
    seen: dict[tuple[str, int], int] = {}
    for slice_ in batch_slices(arrival, topics=PAYMENT_COMMAND_TOPICS):
        for message in slice_.messages:
            source = (message.name, message.number)
            assert message.at == seen.get(source, 0)
            seen[source] = message.at + 1


def test_what_has_happened_is_decided_before_what_is_asked_for() -> None:
    """A capture that stands beside the authorization's result in one poll finds it."""
    key = "order-1"
    payment = payment_id(MERCHANT, "test", key)
    create, approved, _, capture, *_ = a_life(payment, 1, key)
    stored: Stored = handle(None, create, Policy()).stored
    arrival = [Message(capture, "payments.commands", 0, 1)]
    arrival.append(Message(approved, "payments.network_results", 0, 0))
    types = []
    for slice_ in batch_slices(arrival, topics=PAYMENT_COMMAND_TOPICS):
        for message in slice_.messages:
            handled = handle(stored, message.command, Policy())
            stored = handled.stored
            types += [event.type for decision, _ in handled.decisions for event in decision.events]
    assert types == ["payment.authorized", "payment.capture_requested"]
