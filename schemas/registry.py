"""The Avro contracts of this release, by name, version and id.

A file `avro/<record>.v<n>.avsc` is a version. Its id is fixed for ever in `ids.lock`, together with
the SHA-256 of its canonical form: a contract that changed in place refuses to load.
"""

import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from fastavro.schema import parse_schema, to_parsing_canonical_form

_FILE_NAME = re.compile(r"(?P<record>[a-z_]+)\.v(?P<version>\d+)\.avsc")


class ChangedContract(Exception):
    """An .avsc file differs from what ids.lock recorded: add a version, do not change one."""


class Contract(NamedTuple):
    """One version of one record type."""

    record: str
    version: int
    schema_id: int
    document: dict[str, Any]
    parsed: Any

    @property
    def subject(self) -> str:
        """Name under which registries list it (record name strategy)."""
        return f"{self.document['namespace']}.{self.document['name']}"


def digest(document: dict[str, Any]) -> str:
    """SHA-256 of the Parsing Canonical Form (Avro specification), hexadecimal."""
    return hashlib.sha256(to_parsing_canonical_form(document).encode()).hexdigest()


def read_documents() -> dict[tuple[str, int], dict[str, Any]]:
    """(record, version) -> document of every .avsc file."""
    found = {}
    for path in files("schemas").joinpath("avro").iterdir():
        if match := _FILE_NAME.fullmatch(path.name):
            found[match["record"], int(match["version"])] = json.loads(path.read_text())
    return found


def read_lock() -> dict[str, dict[str, Any]]:
    """`record.vN` -> {id, sha256}."""
    lock: dict[str, dict[str, Any]] = json.loads(files("schemas").joinpath("ids.lock").read_text())
    return lock


@cache
def contracts() -> dict[int, Contract]:
    """Schema id -> contract.

    Raises ChangedContract when a file and ids.lock disagree.
    """
    lock = read_lock()
    found = {}
    for (record, version), document in read_documents().items():
        name = f"{record}.v{version}"
        entry = lock.get(name)
        if entry is None or entry["sha256"] != digest(document):
            raise ChangedContract(
                f"schemas/avro/{name}.avsc is not what schemas/ids.lock recorded: restore it and"
                " put the change into a new version, then run `python -m schemas.codegen.generate`."
            )
        parsed = parse_schema(document)
        found[entry["id"]] = Contract(record, version, entry["id"], document, parsed)
    return found


@cache
def latest() -> dict[str, Contract]:
    """Record class name (PaymentEvent, …) -> its newest contract."""
    newest: dict[str, Contract] = {}
    for contract in sorted(contracts().values(), key=lambda c: c.version):
        newest[contract.document["name"]] = contract
    return newest
