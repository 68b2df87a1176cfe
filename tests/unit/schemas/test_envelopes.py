"""A record's key and headers are the bytes that its topic's readers have always seen."""

from typing import Any, get_args, get_origin

import msgspec
import pytest

from schemas import records
from schemas.codec import decode
from schemas.envelopes import to_message
from schemas.topics import PAYMENT_COMMAND_TOPICS, TOPICS

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TIME = b"2026-01-02T03:04:05.006Z"
TIME_MS = 1_767_323_045_006
WITHOUT_ENVELOPE = {"DeadLetter", "LedgerCheckpoint", "Merchant", "Rejection"}
"""Their writers set key and headers: a dead letter's are those of what failed, for instance."""

EXPECTED = {
    # record: (topic, key, ce_id, ce_type, ce_type of the API)
    "AuditAction": ("audit.actions", "<subject_id>", "<action_id>", "<action>", None),
    "BankLine": ("bank.statements", "<line_id>", "<line_id>", "bank.<line_kind>", None),
    "HistoryRequest": (
        "history.requests",
        "<payment_id>",
        "<payment_id>#history#1",
        "history.requested",
        None,
    ),
    "MerchantCommand": (
        "merchants.commands",
        "<merchant_id>",
        "<command_id>",
        "<kind>",
        "MerchantCommand.<kind>",
    ),
    "MerchantEvent": ("merchants.events", "<merchant_id>", "<event_id>", "<type>", None),
    "NetworkRequest": (
        "network.requests",
        "<payment_id>",
        "<request_id>",
        "network.<operation>",
        None,
    ),
    "PaymentCommand": (
        "payments.commands",
        "<payment_id>",
        "<command_id>",
        "create",
        "PaymentCommand.create",
    ),
    "PaymentEvent": ("payments.events", "<payment_id>", "<event_id>", "<type>", None),
    "PayoutEvent": ("payouts.events", "<merchant_id>", "<event_id>", "<type>", None),
    "PayoutItem": ("payouts.items", "<merchant_id>", "<item_id>", "payout.item.<kind>", None),
    "PayoutRequest": (
        "payouts.requests",
        "<merchant_id>",
        "<request_id>",
        "payout.<kind>",
        "PayoutRequest.<kind>",
    ),
    "ReconciliationEvent": ("reconciliation.events", "<subject_id>", "<event_id>", "<type>", None),
    "ReconciliationRequest": (
        "reconciliation.requests",
        "<subject_id>",
        "<request_id>",
        "reconciliation.<kind>",
        None,
    ),
    "SettlementLine": ("network.settlements", "<line_id>", "<line_id>", "settlement.line", None),
    "WebhookAttempt": (
        "webhooks.attempts",
        "<endpoint_id>",
        "<attempt_id>",
        "webhook.attempted",
        None,
    ),
    "WebhookDelivery": (
        "webhooks.deliveries",
        "<endpoint_id>",
        "<delivery_id>",
        "webhook.intended",
        None,
    ),
}


def sample(name: str) -> msgspec.Struct:
    """A record in which each text is its field's name and each time is `TIME_MS`."""
    cls = getattr(records, name)
    fields = {field.name: value(field.name, field.type) for field in msgspec.structs.fields(cls)}
    if name == "WebhookAttempt":
        fields |= {"attempted_at_ms": TIME_MS + 7, "latency_ms": 7}
    if name == "PaymentCommand":
        fields |= {"source": "api", "kind": "create"}
    record: msgspec.Struct = cls(**fields)
    return record


def value(name: str, annotation: Any) -> Any:
    kinds = get_args(annotation) or (annotation,)
    if get_origin(annotation) in (list, dict):
        return get_origin(annotation)()
    if bool in kinds:
        return True
    if int in kinds:
        return TIME_MS if name.endswith("_ms") else 1
    if bytes in kinds:
        return name.encode()
    return f"<{name}>" if str in kinds else None


def test_every_topic_has_an_envelope_or_is_an_exception() -> None:
    records_of = {topic.record: topic.envelope for topic in TOPICS.values()}
    assert {name for name, envelope in records_of.items() if envelope} == EXPECTED.keys()
    assert {name for name, envelope in records_of.items() if not envelope} == WITHOUT_ENVELOPE


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("source", ["worker", "ingest_api"])
def test_key_and_headers_are_these_bytes(name: str, source: str) -> None:
    topic, key, record_id, kind, kind_of_api = EXPECTED[name]
    record = sample(name)
    message = to_message(record, source, TRACE)
    assert (message.topic, message.key) == (topic, key)
    assert decode(type(record), message.value) == record
    kind = (kind_of_api or kind) if source == "ingest_api" else kind
    assert message.headers == {
        "ce_specversion": b"1.0",
        "ce_id": record_id.encode(),
        "ce_type": kind.encode(),
        "ce_time": TIME,
        "ce_source": source.encode(),
        "content-type": b"application/vnd.confluent.avro",
        "traceparent": TRACE,
    }
    assert "traceparent" not in to_message(record, source).headers


@pytest.mark.parametrize("name", PAYMENT_COMMAND_TOPICS)
def test_a_command_goes_to_the_topic_that_accepts_it_from_its_source(name: str) -> None:
    for kind, source in TOPICS[name].commands.items():
        command = msgspec.structs.replace(sample("PaymentCommand"), kind=kind, source=source)
        assert to_message(command, "writer").topic == name


def test_a_command_that_no_topic_accepts_has_no_message() -> None:
    command = msgspec.structs.replace(sample("PaymentCommand"), kind="settle", source="api")
    with pytest.raises(KeyError):
        to_message(command, "ingest_api")
