"""The payments agent's part: what it emits and keeps, and what it does not handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from schemas.codec import decode
from schemas.envelopes import to_message
from schemas.headers import CE_ID, CE_TYPE, TRACEPARENT
from schemas.partitioning import partition_of
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from streams.agents.admission import Admission, MisplacedCommand
from streams.agents.payments import PaymentsAgent
from streams.domain import Policy
from streams.domain.admission import AdmissionPolicy, MerchantTerms

TERMS = MerchantTerms("active", (), 0, 0)
JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXYtaXYtaXYtaXY.Y2lwaGVydGV4dA.dGFnLXRhZw"

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Given(NamedTuple):
    """A record as the engine hands it over."""

    value: PaymentCommand
    key: str
    partition: int
    headers: dict[str, bytes]
    timestamp_ms: int
    replay: None = None


class Emitted(NamedTuple):
    """What the agent emitted to a batch."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes]


class KeptBatch(list[Given]):
    """A batch that keeps what is emitted."""

    def __init__(self, topic: str, *records: Given) -> None:
        super().__init__(records)
        self.topic = topic
        self.out: list[Emitted] = []

    def emit(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes]) -> None:
        self.out.append(Emitted(topic, key, value, headers))


def given(command: PaymentCommand, **changes: Any) -> Given:
    payment_id = command.payment_id
    record = Given(
        command,
        payment_id,
        partition_of(payment_id, 12),
        {TRACEPARENT: TRACE},
        command.issued_at_ms,
    )
    return record._replace(**changes)


def handle(
    states: dict[str, Any], *records: Given, archive: dict[str, Any] | None = None
) -> list[Emitted]:
    """What comes of the records, each on the topic of its command."""
    kept = {} if archive is None else archive
    agent = PaymentsAgent(Policy(), Admission({"mer_1": TERMS}.get, AdmissionPolicy(), 12))
    emitted: list[Emitted] = []
    for record in records:
        batch = KeptBatch(to_message(record.value, "test").topic, record)
        agent.handle(batch, states, kept)  # type: ignore[arg-type] # the twin of a Batch
        emitted += batch.out
    return emitted


@pytest.fixture
def story(new_story: Callable[..., Any]) -> Any:
    """A payment whose commands the agent accepts."""
    return new_story(identified=True)


def test_events_and_requests_go_out_under_the_payment_s_key(story: Any) -> None:
    story.create(card=JWE)
    states: dict[str, Any] = {}
    event, request = handle(states, given(story.commands[0]))
    assert (event.topic, request.topic) == ("payments.events", "network.requests")
    assert event.key == request.key == story.payment_id
    assert decode(PaymentEvent, event.value) == story.events[0]
    assert decode(NetworkRequest, request.value) == story.requests[0]
    assert states[story.payment_id] == story.state
    assert event.headers[CE_ID] == f"{story.payment_id}-1".encode()
    assert event.headers[CE_TYPE] == b"payment.created"
    assert {e.headers[TRACEPARENT] for e in (event, request)} == {TRACE}


def test_a_repeat_writes_nothing(story: Any) -> None:
    story.create()
    states: dict[str, Any] = {}
    record = given(story.commands[0])
    assert len(handle(states, record, record)) == 2
    assert handle(states, record) == []


def test_the_batch_is_decided_in_order(story: Any) -> None:
    story.captured()
    states: dict[str, Any] = {}
    emitted = handle(states, *map(given, story.commands))
    events = [decode(PaymentEvent, e.value) for e in emitted if e.topic == "payments.events"]
    assert events == story.events
    assert states[story.payment_id] == story.state


def test_a_command_of_our_own_under_another_key_is_not_handled(story: Any) -> None:
    story.authorized()
    with pytest.raises(MisplacedCommand, match="has the key 'pay_other'"):
        handle({}, given(story.commands[1], key="pay_other"))
