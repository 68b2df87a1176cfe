"""The payments agent's part: what it emits and keeps, and what it does not handle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from schemas.codec import decode
from schemas.headers import CE_ID, CE_TYPE, TRACEPARENT
from schemas.partitioning import partition_of
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from streams.agents.payments import KeyMismatch, PaymentsAgent
from streams.domain import Policy


class Given(NamedTuple):
    """A record as the engine hands it over."""

    value: PaymentCommand
    key: str
    partition: int
    headers: dict[str, bytes]


class Emitted(NamedTuple):
    """What the agent emitted to a batch."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes]


class KeptBatch(list[Given]):
    """A batch that keeps what is emitted."""

    def __init__(self, *records: Given) -> None:
        super().__init__(records)
        self.out: list[Emitted] = []

    def emit(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes]) -> None:
        self.out.append(Emitted(topic, key, value, headers))


def given(command: PaymentCommand, **changes: Any) -> Given:
    payment_id = command.payment_id
    record = Given(command, payment_id, partition_of(payment_id, 12), {TRACEPARENT: b"00-t"})
    return record._replace(**changes)


def handle(
    states: dict[str, Any], *records: Given, archive: dict[str, Any] | None = None
) -> KeptBatch:
    batch = KeptBatch(*records)
    kept = {} if archive is None else archive
    PaymentsAgent(Policy(), 12).handle(batch, states, kept)  # type: ignore[arg-type] # the twin of a Batch
    return batch


def test_events_and_requests_go_out_under_the_payment_s_key(story: Any) -> None:
    story.create(card="jwe")
    states: dict[str, Any] = {}
    event, request = handle(states, given(story.commands[0])).out
    assert (event.topic, request.topic) == ("payments.events", "network.requests")
    assert event.key == request.key == story.payment_id
    assert decode(PaymentEvent, event.value) == story.events[0]
    assert decode(NetworkRequest, request.value) == story.requests[0]
    assert states[story.payment_id] == story.state
    assert event.headers[CE_ID] == f"{story.payment_id}-1".encode()
    assert event.headers[CE_TYPE] == b"payment.created"
    assert {e.headers[TRACEPARENT] for e in (event, request)} == {b"00-t"}


def test_a_repeat_writes_nothing(story: Any) -> None:
    story.create()
    states: dict[str, Any] = {}
    record = given(story.commands[0])
    batch = handle(states, record, record)
    assert len(batch.out) == 2
    assert handle(states, record).out == []


def test_the_batch_is_decided_in_order(story: Any) -> None:
    story.captured()
    states: dict[str, Any] = {}
    batch = handle(states, *map(given, story.commands))
    events = [decode(PaymentEvent, e.value) for e in batch.out if e.topic == "payments.events"]
    assert events == story.events
    assert states[story.payment_id] == story.state


def test_a_command_under_another_key_is_not_handled(story: Any) -> None:
    story.create()
    with pytest.raises(KeyMismatch, match="has the key 'pay_other'"):
        handle({}, given(story.commands[0], key="pay_other"))


def test_a_create_in_another_partition_is_not_handled(story: Any) -> None:
    story.create()
    wrong = (partition_of(story.payment_id, 12) + 1) % 12
    with pytest.raises(KeyMismatch, match="murmur2"):
        handle({}, given(story.commands[0], partition=wrong))
