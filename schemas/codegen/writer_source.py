"""Source text of straight-line Avro writers.

A writer joins pieces of text in which each character is one byte (Latin-1). Text that is not ASCII
becomes its UTF-8 bytes first.
"""

from typing import Any

from schemas.codegen.reader_source import (
    Document,
    Lines,
    UnsupportedType,
    function_text,
    indented,
    value_branch,
)

_SCALARS: dict[str, tuple[Lines, str]] = {
    "string": (["if not $.isascii():", "    $ = wide($)"], "LONGS[len($)], $"),
    "bytes": ([], 'LONGS[len($)], $.decode("latin-1")'),
    "long": ([], "LONGS[$]"),
    "int": ([], "LONGS[$]"),
    "boolean": ([], r'"\1" if $ else "\0"'),
}
"""Lines before, and the pieces."""


def writer_text(document: Document, schema_id: int) -> str:
    """`write_<Name>(record)`: bytes in Confluent's framing."""
    prefix = repr("\0" + schema_id.to_bytes(4, "big").decode("latin-1"))
    lines, pieces = _write_fields(document)
    joined = ", ".join([prefix, *pieces])
    lines.append(f'return "".join(({joined})).encode("latin-1")')
    name = document["name"]
    return function_text(f"def write_{name}(record: {name}) -> bytes:", lines)


def nested_writer_text(document: Document) -> str:
    """`write_<Name>(record)`: its piece of text."""
    lines, pieces = _write_fields(document)
    lines.append(f'return "".join(({", ".join(pieces)},))')
    name = document["name"]
    return function_text(f"def write_{name}(record: {name}) -> str:", lines)


def _write_fields(document: Document) -> tuple[Lines, list[str]]:
    lines, pieces = [], []
    for field in document["fields"]:
        name = field["name"]
        lines.append(f"f_{name} = record.{name}")
        before, piece = _write(field["type"], name)
        lines += before
        pieces.append(piece)
    return lines, pieces


def _write(avro_type: Any, name: str) -> tuple[Lines, str]:
    """(lines to run first, pieces) that write the variable f_<name>."""
    if isinstance(avro_type, list):
        return _write_union(value_branch(avro_type), name)
    if isinstance(avro_type, str) and avro_type in _SCALARS:
        before, pieces = _SCALARS[avro_type]
        return [line.replace("$", f"f_{name}") for line in before], pieces.replace("$", f"f_{name}")
    match avro_type:
        case {"type": "record", "name": record}:
            return [], f"write_{record}(f_{name})"
        case {"type": "array", "items": items}:
            return _write_blocks(name, f"f_{name}_item", "", _write(items, f"{name}_item"))
        case {"type": "map", "values": values}:
            key_lines, key = _write("string", f"{name}_key")
            lines, pieces = _write(values, f"{name}_item")
            both = (key_lines + lines, f"{key}, {pieces}")
            return _write_blocks(name, f"f_{name}_key, f_{name}_item", ".items()", both)
    raise UnsupportedType(f"no writer for the Avro type {avro_type!r}")


def _write_blocks(name: str, variables: str, of: str, item: tuple[Lines, str]) -> tuple[Lines, str]:
    """All items in one block, as fastavro does; nothing but the end for an empty one."""
    before, pieces = item
    loop = [f"for {variables} in f_{name}{of}:", *indented([*before, f"t_{name} += {pieces},"])]
    filled = [f"t_{name}.append(LONGS[len(f_{name})])", *loop]
    lines = [f"t_{name}: list[str] = []", f"if f_{name}:", *indented(filled)]
    return [*lines, rf't_{name}.append("\0")'], f"*t_{name}"


def _write_union(value_type: Any, name: str) -> tuple[Lines, str]:
    before, pieces = _write(value_type, name)
    joined = rf'"".join(("\2", {pieces}))' if "," in pieces else rf'"\2" + ({pieces})'
    lines = [
        f"if f_{name} is None:",
        rf'    t_{name} = "\0"',
        "else:",
        *indented([*before, f"t_{name} = {joined}"]),
    ]
    return lines, f"t_{name}"
