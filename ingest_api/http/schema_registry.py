"""The Avro contracts in the shapes of a schema registry's read API (pure).

Subjects: the record's name (`paystream.PaymentCommand`) and, as most clients ask, `<topic>-value`.
"""

import json
import re
from functools import cache

from msgspec import Struct

from schemas.registry import Contract, contracts
from schemas.topics import TOPICS

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_LATEST = "latest"
_ID = re.compile("[0-9]{1,9}")


class RegisteredSchema(Struct, frozen=True):
    """One version of a subject; `schema` is the Avro contract as JSON text."""

    subject: str
    version: int
    id: int
    schema: str
    schemaType: str = "AVRO"  # noqa: N815 - the registry's spelling


class SchemaText(Struct, frozen=True):
    """A contract by its id."""

    schema: str
    schemaType: str = "AVRO"  # noqa: N815 - the registry's spelling


class RegistryError(Struct, frozen=True):
    """What registry clients expect of an error."""

    error_code: int
    message: str


class UnknownSchema(Exception):
    """Subject, version or id is unknown; `code` is the registry's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def _subjects() -> dict[str, dict[int, Contract]]:
    by_record: dict[str, dict[int, Contract]] = {}
    for contract in contracts().values():
        by_record.setdefault(contract.document["name"], {})[contract.version] = contract
    named = {next(iter(v.values())).subject: v for v in by_record.values()}
    return named | {f"{topic.name}-value": by_record[topic.record] for topic in TOPICS.values()}


def subject_names() -> list[str]:
    """All subjects."""
    return sorted(_subjects())


def version_numbers(subject: str) -> list[int]:
    """Versions of a subject, oldest first. Raises UnknownSchema."""
    found = _subjects().get(subject)
    if found is None:
        raise UnknownSchema(40401, f"Subject '{subject}' not found.")
    return sorted(found)


def version_of(subject: str, version: str) -> RegisteredSchema:
    """A version by number or `latest`. Raises UnknownSchema."""
    numbers = version_numbers(subject)
    wanted = str(numbers[-1]) if version in (_LATEST, "-1") else version
    if wanted not in map(str, numbers):
        raise UnknownSchema(40402, f"Version {version} not found.")
    contract = _subjects()[subject][int(wanted)]
    return RegisteredSchema(subject, contract.version, contract.schema_id, schema_text(contract))


def schema_text(contract: Contract) -> str:
    """The contract as JSON text."""
    return json.dumps(contract.document, ensure_ascii=False)


def by_id(schema_id: str) -> SchemaText:
    """The contract with this id. Raises UnknownSchema."""
    contract = contracts().get(int(schema_id)) if _ID.fullmatch(schema_id) else None
    if contract is None:
        raise UnknownSchema(40403, f"Schema {schema_id} not found")
    return SchemaText(schema_text(contract))
