"""A decision is sent in order, and a record that the broker refused is no success."""

from typing import Any

import pytest
from confluent_kafka import KafkaError

from paystream.operations import decision_producer
from paystream.operations.decision_producer import DecisionNotSent, send_in_order
from runtime.kafka_connection import KafkaConnection
from schemas.envelopes import Message

ACT = Message("audit.actions", "brk_1", b"act", {})
ASK = Message("reconciliation.requests", "brk_1", b"ask", {})


class Report:
    def offset(self) -> int:
        return 0


class Broker:
    """Answers each record at `flush`; `refused` are values that it refuses."""

    refused: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.waiting: list[tuple[Any, bytes]] = []

    def produce(self, topic: str, value: bytes, key: str, headers: Any, on_delivery: Any) -> None:
        self.waiting.append((on_delivery, value))

    def flush(self, seconds: float) -> int:
        waiting, self.waiting = self.waiting, []
        for report, value in waiting:
            refused = value in self.refused
            report(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED) if refused else None, Report())
            self.taken += [] if refused else [value]
        return 0


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(decision_producer, "Producer", lambda settings: found)
    return found


def test_the_act_comes_before_what_asks_for_it(broker: Broker) -> None:
    send_in_order(KafkaConnection("b:1"), [ACT, ASK])
    assert broker.taken == [b"act", b"ask"]


@pytest.mark.parametrize(
    ("refused", "taken"), [((b"act",), []), ((b"ask",), [b"act"])], ids=["act", "ask"]
)
def test_a_refused_record_is_said_and_nothing_follows_it(
    broker: Broker, refused: tuple[bytes, ...], taken: list[bytes]
) -> None:
    broker.refused = refused
    with pytest.raises(DecisionNotSent, match=r"b:1 did not acknowledge the decision\."):
        send_in_order(KafkaConnection("b:1"), [ACT, ASK])
    assert broker.taken == taken
