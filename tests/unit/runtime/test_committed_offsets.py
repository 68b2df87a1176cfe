"""Asking where a group stands while its coordinator moves."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime import consumer_lag
from runtime.kafka import TopicUnreadable
from runtime.kafka_connection import KafkaConnection


class Answers:
    """A consumer that fails with these codes, one after the other, and then knows offset 7."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.closed = False

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.codes:
            raise KafkaException(KafkaError(self.codes.pop(0)))
        return [TopicPartition(at.topic, at.partition, 7) for at in asked]

    def close(self) -> None:
        self.closed = True


def ask(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> dict[tuple[str, int], int]:
    def consumer(_: Any) -> Answers:
        return answers

    monkeypatch.setattr(consumer_lag, "Consumer", consumer)
    return consumer_lag.committed(
        KafkaConnection("127.0.0.1:1"), "sinks-audit", [("payments.events", 3)]
    )


def test_a_moving_coordinator_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    assert ask(monkeypatch, answers) == {("payments.events", 3): 7}
    assert answers.closed


def test_another_refusal_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(TopicUnreadable, match="sinks-audit"):
        ask(monkeypatch, answers)
    assert answers.closed


def test_a_coordinator_that_stays_away_is_asked_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_lag, "_TIMEOUT_SECONDS", 0.0)
    answers = Answers(*[KafkaError.NOT_COORDINATOR] * 50)
    with pytest.raises(TopicUnreadable):
        ask(monkeypatch, answers)
    assert len(answers.codes) > 40
