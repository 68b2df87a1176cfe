"""What people decide about one payment: a command on the topic that they alone write."""

from paystream.operations.decision_producer import DecisionNotSent, send_in_order
from runtime.clock import now_ms
from runtime.id_generator import new_id
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.audit_outcomes import AuditOutcome
from schemas.codec import UndecodableRecord, decode
from schemas.enums import CommandKind, Source
from schemas.envelopes import to_message
from schemas.ids import command_id, fingerprint
from schemas.payment_commands import refund_id
from schemas.records import AuditAction, PaymentCommand, PaymentEvent
from schemas.topics import PAYMENTS_EVENTS, PAYMENTS_OPERATOR_COMMANDS, TOPICS

WRITER = "operators"
OPERATOR_KINDS = tuple(TOPICS[PAYMENTS_OPERATOR_COMMANDS].commands)
"""What people may decide."""
_REASON_CHARACTERS_MAX = 500


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
    """Send one decision, and the record of who asked for it; returns once Kafka has both.

    Raises DecisionNotSent, TopicUnreadable.
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
    act = audit_action(command, actor, reason)
    send_in_order(kafka, [to_message(act, WRITER), to_message(command, WRITER)])
    return command


def audit_action(command: PaymentCommand, actor: str, reason: str) -> AuditAction:
    """Who asked for a decision about a payment; what came of it is an event of the payment."""
    return AuditAction(
        action_id=command.command_id,
        subject_id=command.payment_id,
        action=f"payment.{command.kind}",
        outcome=AuditOutcome.REQUESTED,
        actor=f"operator:{actor}",
        source=Source.OPERATOR,
        occurred_at_ms=command.issued_at_ms,
        merchant_id=command.merchant_id,
        mode=command.mode,
        justification=reason[:_REASON_CHARACTERS_MAX],
    )


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
    raise DecisionNotSent(f"There is no payment {payment_id}. Check the id.")
