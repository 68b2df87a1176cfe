"""The reader of a compacted topic on a real broker: it skips strays, and knows how old it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from polling import eventually

from paystream.operations.topics import create_all
from runtime.compacted_topic import CompactedTopic, FollowLimits
from runtime.kafka import producer_settings
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import MerchantRegistry
from runtime.telemetry import counter
from schemas.codec import encode
from schemas.records import Merchant
from schemas.topics import MERCHANTS

pytestmark = pytest.mark.services

MERCHANT = Merchant(
    merchant_id="",
    version=2,
    name="Shop",
    status="active",
    registered_at_ms=1,
    updated_at_ms=1,
    payout_schedule="daily",
    fee_basis_points=150,
    fee_fixed_minor=25,
)


def send(broker: str, topic: str, *records: dict[str, Any]) -> None:
    producer = Producer(producer_settings(KafkaConnection(broker)))
    for record in records:
        producer.produce(topic, **record)
    assert producer.flush(20) == 0


def skipped(topic: str) -> float:
    of_topic = [
        counter("paystream_skipped_records_total").labels(topic, reason)._value.get()
        for reason in ("undecodable", "not_applied")
    ]
    return float(sum(of_topic))


@pytest.fixture
def registry(kafka_broker: str, unique_name: Callable[[str], str]) -> Iterator[MerchantRegistry]:
    create_all(KafkaConnection(kafka_broker))
    made = MerchantRegistry(KafkaConnection(kafka_broker), unique_name("registry")).start()
    yield made
    made.stop()


def test_no_stray_stops_the_merchants(
    kafka_broker: str, registry: MerchantRegistry, unique_name: Callable[[str], str]
) -> None:
    known, later = unique_name("mer"), unique_name("mer")
    good = {"key": known, "value": encode(msgspec.structs.replace(MERCHANT, merchant_id=known))}
    older = msgspec.structs.replace(MERCHANT, merchant_id=known, version=1, name="Old")
    strays: list[dict[str, Any]] = [
        {"key": b"\x80\xff binary", "value": None},
        {"key": b"\x80\xff binary", "value": good["value"]},
        {"key": known, "value": b"\x00\x00\x00\x10\x92newer"},
        {"key": known, "value": b"no wire format"},
        {"key": known, "value": good["value"][:20]},
        {"key": "another", "value": good["value"]},
        {"key": known, "value": encode(older)},
    ]
    names: list[Any] = [(b"caf\xe9".decode("latin-1"), b"\xff" * 50_000)] * 10
    before = skipped(MERCHANTS)
    send(kafka_broker, MERCHANTS, good)
    send(kafka_broker, MERCHANTS, *(stray | {"headers": names} for stray in strays))
    last = {"key": later, "value": encode(msgspec.structs.replace(MERCHANT, merchant_id=later))}
    send(kafka_broker, MERCHANTS, last)
    assert registry.refresh(20)
    found = registry.get(known)
    assert found is not None
    assert (found.name, found.version) == ("Shop", 2)
    assert registry.get(later) is not None
    assert skipped(MERCHANTS) - before == len(strays)
    assert registry.age_seconds < 10


def test_a_refresh_waits_for_what_was_committed(
    kafka_broker: str, new_topic: Callable[..., str], unique_name: Callable[[str], str]
) -> None:
    name = new_topic("copy", partitions=3)
    seen: dict[bytes, bytes | None] = {}
    copy = CompactedTopic(
        KafkaConnection(kafka_broker), name, unique_name("reader"), seen.__setitem__
    )
    assert copy.age_seconds == float("inf")
    copy.start()
    try:
        assert copy.wait_ready(20)
        send(kafka_broker, name, {"key": None, "value": b"a compacted topic refuses no key"})
        for number in range(10):
            producer = Producer(
                producer_settings(KafkaConnection(kafka_broker)) | {"transactional.id": name}
            )
            producer.init_transactions(20)
            producer.begin_transaction()
            producer.produce(name, b"%d" % number, b"%d" % number)
            producer.flush(20)
            if number == 9:
                assert not copy.refresh(0.5), "an open transaction may hide what was committed"
            producer.commit_transaction(20)
            assert copy.refresh(20)
            assert seen[b"%d" % number] == b"%d" % number
    finally:
        copy.stop()
    assert skipped(name) == 1


def test_partitions_that_are_added_are_read(
    kafka_broker: str, new_topic: Callable[..., str], unique_name: Callable[[str], str]
) -> None:
    name = new_topic("grows", partitions=1)
    seen: dict[bytes, bytes | None] = {}
    limits = FollowLimits(contact_seconds=0.2)
    copy = CompactedTopic(
        KafkaConnection(kafka_broker), name, unique_name("reader"), seen.__setitem__, limits
    )
    copy.start()
    try:
        assert copy.wait_ready(20)
        admin = AdminClient({"bootstrap.servers": kafka_broker})
        admin.create_partitions([NewPartitions(name, 3)])[name].result(20)
        eventually(lambda: len(admin.list_topics(name).topics[name].partitions) == 3, "partitions")
        send(kafka_broker, name, {"key": b"k", "value": b"v", "partition": 2})
        eventually(lambda: seen.get(b"k") == b"v", "the record of the new partition")
    finally:
        copy.stop()
