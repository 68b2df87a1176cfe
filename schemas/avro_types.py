"""Avro types as Python: annotations, and which records a record contains."""

from typing import Any

SCALARS = {
    "string": "str",
    "long": "int",
    "int": "int",
    "boolean": "bool",
    "bytes": "bytes",
    "double": "float",
}


def annotation(avro_type: Any) -> str:
    """Python annotation of an Avro type, as source text."""
    if isinstance(avro_type, str):
        return SCALARS[avro_type]
    if isinstance(avro_type, list):
        (inner,) = (part for part in avro_type if part != "null")
        return f"{annotation(inner)} | None"
    if avro_type["type"] == "array":
        return f"list[{annotation(avro_type['items'])}]"
    if avro_type["type"] == "map":
        return f"dict[str, {annotation(avro_type['values'])}]"
    return str(avro_type["name"])


def nested_records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Record types that are declared inside of array fields."""
    items = [
        f["type"]["items"]
        for f in document["fields"]
        if isinstance(f["type"], dict) and f["type"]["type"] == "array"
    ]
    return [item for item in items if isinstance(item, dict) and item["type"] == "record"]


def constructor_order(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fields as the Struct's constructor takes them by position: those that must be given first.

    A later version of a schema only adds fields with a default, at the end: no place ever changes.
    """
    return sorted(fields, key=lambda field: "default" in field)
