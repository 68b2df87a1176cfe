"""Sends what a person decided: the record of the act first, then what asks for it."""

from collections.abc import Iterable

from confluent_kafka import Producer

from runtime.kafka import not_acknowledged, producer_settings
from runtime.kafka_connection import KafkaConnection
from schemas.envelopes import Message

_SEND_SECONDS = 20.0
"""Longest wait for the acknowledgement of one record."""


class DecisionNotSent(Exception):
    """The decision is not in Kafka; the message says why."""


def send_in_order(kafka: KafkaConnection, messages: Iterable[Message]) -> None:
    """Returns once Kafka has all; each is sent when the one before it is acknowledged.

    Raises DecisionNotSent; then none of the later ones was sent.
    """
    producer = Producer(producer_settings(kafka))
    for message in messages:
        reports: list[object] = []
        producer.produce(
            message.topic,
            message.value,
            message.key,
            headers=message.headers,
            on_delivery=lambda e, m, kept=reports: kept.append(not_acknowledged(e, m)),
        )
        left = producer.flush(_SEND_SECONDS)
        # Not `== [None]`: a KafkaError that is compared with None leaves an exception pending.
        if left == 0 and reports and reports[0] is None:
            continue
        raise DecisionNotSent(
            f"{kafka.bootstrap_servers} did not acknowledge the decision. Check the broker, then"
            " run it again."
        )
