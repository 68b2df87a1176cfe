"""The check finds each kind of change that breaks a client, and lets compatible ones pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest_api.http.app import openapi_schema
from paystream.generate.api_documents import asyncapi_text
from paystream.generate.compatibility import api_incompatibilities, topic_incompatibilities

ROOT = Path(__file__).resolve().parents[3]
RELEASED = sorted((ROOT / "schemas" / "released").glob("*/"))
PAYMENT: dict[str, Any] = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "integer"},
        "method": {"type": "string", "enum": ["manual", "automatic"]},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    },
}
ITEM = {"type": "object", "properties": {"name": {"type": "string"}}}
API: dict[str, Any] = {
    "paths": {
        "/v1/payments": {
            "post": {
                "parameters": [{"in": "header", "name": "Prefer"}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Create"}}
                    },
                },
                "responses": {
                    "202": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}
                        }
                    }
                },
            }
        }
    },
    "components": {"schemas": {"Create": PAYMENT, "Payment": copy.deepcopy(PAYMENT), "Item": ITEM}},
}
Change = Callable[[dict[str, Any]], Any]


def operation(api: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api["paths"]["/v1/payments"]["post"]
    return found


def schema(api: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = api["components"]["schemas"][name]
    return found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a["paths"].clear(), "is removed"),
        (lambda a: operation(a)["responses"].pop("202"), "response 202 is removed"),
        (lambda a: operation(a)["parameters"].clear(), "parameter Prefer is removed"),
        (
            lambda a: operation(a)["parameters"].append(
                {"in": "query", "name": "mode", "required": True}
            ),
            "parameter mode is required now",
        ),
        (lambda a: schema(a, "Create")["required"].append("method"), "method is required now"),
        (lambda a: schema(a, "Create")["properties"].pop("method"), "request.method is removed"),
        (lambda a: schema(a, "Payment")["properties"].pop("method"), "response.method is removed"),
        (lambda a: schema(a, "Payment")["required"].clear(), "amount may be absent now"),
        (
            lambda a: schema(a, "Create")["properties"]["method"]["enum"].remove("manual"),
            "no longer accepts 'manual'",
        ),
        (
            lambda a: schema(a, "Payment")["properties"]["amount"].update(type="string"),
            "the type of response.amount",
        ),
        (lambda a: schema(a, "Item")["properties"].clear(), "items[].name is removed"),
        (
            lambda a: operation(a)["responses"]["202"]["content"].clear(),
            "media type application/json is removed",
        ),
    ],
)
def test_a_breaking_change_is_found(change: Change, sentence: str) -> None:
    current = copy.deepcopy(API)
    change(current)
    found = api_incompatibilities(API, current)
    assert any(sentence in each for each in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["paths"].update({"/v2": {"get": {}}}),
        lambda a: operation(a)["responses"].update({"409": {}}),
        lambda a: schema(a, "Create")["properties"].update(note={"type": "string"}),
        lambda a: schema(a, "Payment")["properties"].update(note={"type": "string"}),
        lambda a: schema(a, "Create")["properties"]["amount"].update(type=["integer", "string"]),
        lambda a: schema(a, "Payment")["required"].append("method"),
    ],
    ids=["path", "response", "optional field", "response field", "wider type", "always there"],
)
def test_a_compatible_change_passes(change: Change) -> None:
    current = copy.deepcopy(API)
    change(current)
    assert api_incompatibilities(API, current) == []


def test_a_removed_topic_and_another_record_are_found() -> None:
    released = yaml.safe_load(asyncapi_text())
    current = copy.deepcopy(released)
    del current["channels"]["payments_events"]
    current["channels"]["payments_commands"]["messages"] = {"Other": {}}
    assert topic_incompatibilities(released, current) == [
        "topic payments.commands carries another record",
        "topic payments.events is removed",
    ]


def test_the_api_and_the_topics_are_compatible_with_the_newest_release() -> None:
    """An intended break has a line with its reason in schemas/released/breaking_changes.yaml."""
    newest = RELEASED[-1]
    intended = yaml.safe_load((ROOT / "schemas/released/breaking_changes.yaml").read_text()) or {}
    released_api = json.loads((newest / "openapi.json").read_text())
    released_topics = yaml.safe_load((newest / "asyncapi.yaml").read_text())
    found = [
        *api_incompatibilities(released_api, openapi_schema()),
        *topic_incompatibilities(released_topics, yaml.safe_load(asyncapi_text())),
    ]
    assert sorted(set(found) - set(intended)) == []
    assert sorted(set(intended) - set(found)) == [], "these lines are no longer needed"
