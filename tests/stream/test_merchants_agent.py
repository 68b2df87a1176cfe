"""Registrations on a real broker: commands in, events and the compacted record out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from polling import eventually
from sink_worker import publish, stored, worker

from paystream.operations.topics import create_all
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import MerchantRegistry
from schemas.records import MerchantCommand, MerchantEvent
from schemas.topics import MERCHANTS_COMMANDS, MERCHANTS_EVENTS

pytestmark = pytest.mark.services


def command(merchant_id: str, kind: str, number: int, **fields: Any) -> MerchantCommand:
    return MerchantCommand(
        command_id=f"cmd_{merchant_id}_{number}",
        merchant_id=merchant_id,
        kind=kind,
        fingerprint=kind,
        issued_at_ms=1000 + number,
        source="api",
        **fields,
    )


def test_a_registration_reaches_every_reader_once_and_survives_a_restart(
    kafka_broker: str, tmp_path: Path, unique_name: Callable[[str], str]
) -> None:
    create_all(KafkaConnection(kafka_broker))
    merchant_id = unique_name("mer")
    register = command(merchant_id, "register", 1, name="Shop")
    key = {"key_id": "key_1", "key_mode": "test", "key_hash": merchant_id}
    rotate = command(merchant_id, "rotate_api_key", 2, **key)
    endpoint = {"endpoint_id": "we_1", "endpoint_url": "https://x.example", "encrypted_secret": "s"}

    def types() -> list[str]:
        events = stored(
            kafka_broker, MERCHANTS_EVENTS, MerchantEvent, lambda e: e.merchant_id == merchant_id
        )
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        return [event.type for event in events]

    registry = MerchantRegistry(KafkaConnection(kafka_broker), unique_name("registry")).start()
    try:
        with worker("merchants", kafka_broker, tmp_path, {}) as first:
            publish(kafka_broker, MERCHANTS_COMMANDS, merchant_id, register, register, rotate)
            eventually(lambda: registry.by_api_key_hash(merchant_id), "the key")
            assert first.stop(30) == 0
        with worker("merchants", kafka_broker, tmp_path, {}):
            added = command(merchant_id, "add_endpoint", 3, **endpoint)
            publish(kafka_broker, MERCHANTS_COMMANDS, merchant_id, register, rotate, added)
            eventually(
                lambda: (known := registry.get(merchant_id)) and known.endpoints, "the endpoint"
            )
        assert types() == [
            "merchant.registered",
            "merchant.api_key_rotated",
            "merchant.endpoint_added",
        ]
        known = registry.get(merchant_id)
        assert known is not None
        assert (known.name, known.version, len(known.api_keys)) == ("Shop", 3, 1)
    finally:
        registry.stop()
