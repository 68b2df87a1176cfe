"""Write `records.py` and new entries of `ids.lock` from the .avsc files.

python -m schemas.generate            writes
python -m schemas.generate --check    exits 1 if a file would change
"""

import json
import sys
from pathlib import Path
from typing import Any

from schemas.registry import digest, read_documents, read_lock

HERE = Path(__file__).parent
_SCALARS = {
    "string": "str",
    "long": "int",
    "int": "int",
    "boolean": "bool",
    "bytes": "bytes",
    "double": "float",
}
_HEAD = '''"""Records as immutable values. Generated from avro/*.avsc by `python -m schemas.generate`."""

from msgspec import Struct, field

'''


def lock_text() -> str:
    """ids.lock with an id for every file; ids that were given stay."""
    lock = read_lock() if (HERE / "ids.lock").exists() else {}
    for (record, version), document in sorted(read_documents().items()):
        name = f"{record}.v{version}"
        if name not in lock:
            next_id = 1 + max((entry["id"] for entry in lock.values()), default=0)
            lock[name] = {"id": next_id, "sha256": digest(document)}
    return json.dumps(lock, indent=2) + "\n"


def annotation(avro_type: Any) -> str:
    """Python annotation of an Avro type, as source text."""
    if isinstance(avro_type, str):
        return _SCALARS[avro_type]
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


def default_of(field: dict[str, Any]) -> str:
    """` = default` as source text, or nothing for a required field."""
    if "default" not in field:
        return ""
    if field["default"] == []:
        return " = field(default_factory=list)"
    return f" = {field['default']!r}"


def class_text(document: dict[str, Any]) -> str:
    """Source text of one Struct, after those that it contains."""
    inner = "".join(class_text(nested) for nested in nested_records(document))
    lines = [f"class {document['name']}(Struct, frozen=True, kw_only=True, gc=False):"]
    if doc := document.get("doc"):
        lines += [f'    """{doc}"""', ""]
    for f in document["fields"]:
        lines.append(f"    {f['name']}: {annotation(f['type'])}{default_of(f)}")
    return inner + "\n" + "\n".join(lines) + "\n\n"


def records_text() -> str:
    """Source text of records.py: the newest version of every record."""
    newest: dict[str, dict[str, Any]] = {}
    for (record, _), document in sorted(read_documents().items()):
        newest[record] = document
    body = "".join(class_text(document) for document in newest.values())
    return (
        "# ruff: noqa: E501 - the texts are those of the contracts\n" + _HEAD + body.rstrip() + "\n"
    )


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    wanted = {HERE / "ids.lock": lock_text(), HERE / "records.py": records_text()}
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"schemas/{path.name} is stale: run `python -m schemas.generate`.\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
