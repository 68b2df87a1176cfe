"""The work that every baseline does, and its records.

A command of seven fields comes in as Avro (Confluent framing). Unless its id is among those that
the payment's state has seen, the state changes and an event goes out as Avro. State is JSON in a
compacted changelog topic. Outputs, changelog and offsets commit together where the baseline can.
"""

from __future__ import annotations

import io
from typing import Any

import fastavro
import msgspec

from schemas.codegen.generate import class_text, codec_text

PREFIX_BYTES = 5
COMMAND_ID, EVENT_ID = 9001, 9002
PARTITIONS = 4


def _record(name: str, fields: dict[str, str]) -> dict[str, Any]:
    listed = [{"name": field, "type": avro_type} for field, avro_type in fields.items()]
    return {"type": "record", "name": name, "fields": listed}


COMMAND = _record(
    "Command",
    {
        "payment_id": "string",
        "command_id": "string",
        "kind": "string",
        "merchant_id": "string",
        "amount": "long",
        "currency": "string",
        "at": "long",
    },
)
EVENT = _record("Event", {"payment_id": "string", "type": "string", "v": "int", "amount": "long"})
PARSED_COMMAND, PARSED_EVENT = fastavro.parse_schema(COMMAND), fastavro.parse_schema(EVENT)
_EVENT_PREFIX = b"\0" + EVENT_ID.to_bytes(4, "big")


class State(msgspec.Struct):
    """What is known of a payment."""

    status: str
    amount: int
    seen: list[str]
    v: int


def generated() -> dict[str, Any]:
    """Classes, readers and writers of both records, from the generator that the product uses."""
    source = "from msgspec import Struct, field\n"
    source += "from schemas.varint import LONGS, end_at, items_at, long_at, size_at, wide\n"
    for document, number in ((COMMAND, COMMAND_ID), (EVENT, EVENT_ID)):
        source += class_text(document) + codec_text(document, number)
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace


def decode_command(data: bytes) -> dict[str, Any]:
    """With fastavro, as is usual."""
    body = io.BytesIO(data)
    body.seek(PREFIX_BYTES)
    found: dict[str, Any] = fastavro.schemaless_reader(body, PARSED_COMMAND, None)
    return found


def encode_event(event: dict[str, Any]) -> bytes:
    """With fastavro, as is usual."""
    body = io.BytesIO()
    body.write(_EVENT_PREFIX)
    fastavro.schemaless_writer(body, PARSED_EVENT, event)
    return body.getvalue()
