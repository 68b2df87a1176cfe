"""AsyncAPI and the registry's answers say what schemas/ says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ingest_api.http import asyncapi, schema_registry
from ingest_api.http.schema_registry import UnknownSchema
from schemas.registry import contracts, latest
from schemas.topics import PAYMENTS_COMMANDS, TOPICS


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def resolve(document: dict[str, Any], reference: str) -> Any:
    value: Any = document
    for step in reference.removeprefix("#/").split("/"):
        value = value[step]
    return value


def test_asyncapi_has_every_topic_with_its_contract() -> None:
    document = yaml.safe_load(asyncapi.as_yaml())
    channels = {c["address"]: c for c in document["channels"].values()}
    assert set(channels) == set(TOPICS)
    for name, topic in TOPICS.items():
        assert channels[name]["bindings"]["kafka"]["partitions"] == topic.partitions
        [message] = channels[name]["messages"].values()
        payload = resolve(document, message["$ref"])["payload"]
        assert payload["schema"] == latest()[topic.record].document


def test_asyncapi_references_lead_somewhere() -> None:
    document = asyncapi.document()
    found = list(references(document))
    assert found
    for reference in found:
        assert resolve(document, reference)


def test_outside_programs_send_payment_commands_only() -> None:
    operations = asyncapi.document()["operations"].values()
    sent = [o["channel"]["$ref"] for o in operations if o["action"] == "send"]
    assert sent == ["#/channels/payments_producer_commands"]


def test_subjects_by_topic_and_by_record() -> None:
    names = schema_registry.subject_names()
    assert f"{PAYMENTS_COMMANDS}-value" in names
    assert "paystream.PaymentCommand" in names
    by_topic = schema_registry.version_of(f"{PAYMENTS_COMMANDS}-value", "latest")
    by_record = schema_registry.version_of("paystream.PaymentCommand", str(by_topic.version))
    assert (by_topic.id, by_topic.schema) == (by_record.id, by_record.schema)


def test_every_id_is_answered_with_its_contract() -> None:
    for schema_id, contract in contracts().items():
        assert json.loads(schema_registry.by_id(str(schema_id)).schema) == contract.document


@pytest.mark.parametrize(
    ("subject", "version", "code"),
    [("nobody-value", "latest", 40401), ("merchants-value", "99", 40402)],
)
def test_unknown_subjects_and_versions(subject: str, version: str, code: int) -> None:
    with pytest.raises(UnknownSchema) as caught:
        schema_registry.version_of(subject, version)
    assert caught.value.code == code


def test_unknown_id() -> None:
    with pytest.raises(UnknownSchema) as caught:
        schema_registry.by_id("0")
    assert caught.value.code == 40403
