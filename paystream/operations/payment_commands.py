"""What people decide about one payment: a command on the topic that they alone write."""

from confluent_kafka import Producer

from runtime.clock import now_ms
from runtime.id_generator import new_id
from runtime.kafka import not_acknowledged, producer_settings, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.codec import UndecodableRecord, decode
from schemas.enums import CommandKind, Source
from schemas.envelopes import to_message
from schemas.ids import command_id, fingerprint
from schemas.payment_commands import refund_id
from schemas.records import PaymentCommand, PaymentEvent
from schemas.topics import PAYMENTS_EVENTS, PAYMENTS_OPERATOR_COMMANDS, TOPICS

WRITER = "operators"
OPERATOR_KINDS = tuple(TOPICS[PAYMENTS_OPERATOR_COMMANDS].commands)
"""What people may decide."""
_REASON_CHARACTERS_MAX = 500
_SEND_SECONDS = 30.0


class CommandNotSent(Exception):
    """The decision is not in Kafka; the message says why."""


def send_operator_command(
    kafka: KafkaConnection,
    payment_id: str,
    kind: str,
    *,
    actor: str,
    reason: str,
    amount_minor: int | None = None,
    operation_id: str | None = None,
    dispute_id: str | None = None,
) -> PaymentCommand:
    """Send one decision; returns it once all in-sync replicas have it.

    Raises CommandNotSent, TopicUnreadable.
    """
    event = _first_event(kafka, payment_id)
    key = new_id("key-")
    command = PaymentCommand(
        command_id=command_id(payment_id, kind, key),
        payment_id=payment_id,
        merchant_id=event.merchant_id,
        mode=event.mode,
        kind=kind,
        fingerprint=fingerprint({"kind": kind, "amount": amount_minor, "key": key}),
        issued_at_ms=now_ms(),
        source=Source.OPERATOR,
        idempotency_key=key,
        amount_minor=amount_minor,
        refund_id=refund_id(payment_id, key) if kind == CommandKind.REFUND else None,
        operation_id=operation_id,
        dispute_id=dispute_id,
        reason=f"{actor}: {reason}"[:_REASON_CHARACTERS_MAX],
    )
    _send(kafka, command)
    return command


def _first_event(kafka: KafkaConnection, payment_id: str) -> PaymentEvent:
    needle = payment_id.encode()
    for stored in read_topic(kafka, PAYMENTS_EVENTS):
        if stored.value is None or needle not in stored.value:
            continue
        try:
            event = decode(PaymentEvent, stored.value)
        except UndecodableRecord:
            continue
        if event.payment_id == payment_id:
            return event
    raise CommandNotSent(f"There is no payment {payment_id}. Check the id.")


def _send(kafka: KafkaConnection, command: PaymentCommand) -> None:
    failed: list[object] = []
    message = to_message(command, WRITER)
    producer = Producer(producer_settings(kafka))
    producer.produce(
        message.topic,
        message.value,
        message.key,
        headers=message.headers,
        on_delivery=lambda error, record: failed.append(not_acknowledged(error, record)),
    )
    if producer.flush(_SEND_SECONDS) or failed != [None]:
        raise CommandNotSent(
            f"{kafka.bootstrap_servers} did not acknowledge the decision. Check the broker, then"
            " run it again."
        )
