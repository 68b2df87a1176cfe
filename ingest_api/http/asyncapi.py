"""The AsyncAPI 3.0 document of all topics, from `schemas.topics` and the Avro contracts (pure).

For those who read or write Kafka themselves: channels, keys, headers, and every contract in full.
"""

from functools import cache
from typing import Any

import yaml

from schemas.headers import (
    CE_ID,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TIME,
    CE_TYPE,
    CONTENT_TYPE,
    TRACEPARENT,
)
from schemas.registry import Contract, latest
from schemas.topics import TOPICS, Topic

_AVRO_FORMAT = "application/vnd.apache.avro;version=1.9.0"
_WIRE_FORMAT = "application/vnd.confluent.avro"
_HEADERS = {
    TRACEPARENT: "W3C Trace Context.",
    CE_SPECVERSION: "CloudEvents version.",
    CE_ID: "Identity of the record: command or event id.",
    CE_TYPE: "What it is.",
    CE_TIME: "When it was issued or happened, RFC 3339.",
    CE_SOURCE: "Who wrote it.",
    CONTENT_TYPE: "Always application/vnd.confluent.avro.",
}
_PRODUCERS = "producers"


def _channel_id(topic: Topic) -> str:
    return topic.name.replace(".", "_")


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": (
            f"{topic.purpose} Written by {', '.join(topic.writers)};"
            f" read by {', '.join(topic.readers)}."
        ),
        "messages": {topic.record: {"$ref": f"#/components/messages/{_message_id(topic)}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_ms,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message_id(topic: Topic) -> str:
    return f"{_channel_id(topic)}.{topic.record}"


def _message(topic: Topic, contract: Contract) -> dict[str, Any]:
    return {
        "name": topic.record,
        "title": f"{topic.record} version {contract.version}, schema id {contract.schema_id}",
        "contentType": _WIRE_FORMAT,
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"schemaFormat": _AVRO_FORMAT, "schema": contract.document},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"UTF-8 {topic.key}; murmur2 partitions."},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> dict[str, Any]:
    """From the view of an outside program: what it may send and what it may receive."""
    channel = {"$ref": f"#/channels/{_channel_id(topic)}"}
    found = {f"receive_{_channel_id(topic)}": {"action": "receive", "channel": channel}}
    if _PRODUCERS in topic.writers:
        found[f"send_{_channel_id(topic)}"] = {"action": "send", "channel": channel}
    return found


def document() -> dict[str, Any]:
    """The whole document as plain values."""
    topics = list(TOPICS.values())
    headers = {name: {"type": "string", "description": text} for name, text in _HEADERS.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "paystream topics",
            "version": "1",
            "description": "Values: 0x00, 4-byte schema id, Avro. Schemas: /schemas/ids/{id}.",
        },
        "defaultContentType": _WIRE_FORMAT,
        "channels": {_channel_id(topic): _channel(topic) for topic in topics},
        "operations": {k: v for topic in topics for k, v in _operations(topic).items()},
        "components": {
            "messages": {
                _message_id(topic): _message(topic, latest()[topic.record]) for topic in topics
            },
            "schemas": {"Headers": {"type": "object", "properties": headers}},
        },
    }


class _Plain(yaml.SafeDumper):
    """Writes repeated values out instead of YAML anchors, which some readers do not take."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@cache
def as_yaml() -> str:
    """The document as it is served."""
    return yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
